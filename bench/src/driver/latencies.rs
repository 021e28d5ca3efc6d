//! Times of single things: a state access, a row, an idle second, a window's result, a moving key group, a simulated run.

use super::report::{Bar, Line};
use super::run::{Failure, run};

/// Read-modify-write of hot keyed state, 10^6 keys.
pub(crate) fn state() -> Result<Vec<Line>, Failure> {
    let ran = run("examples/state_rmw", &[], &[])?;
    let of = |name: &str| {
        let line = ran.stdout.lines().find_map(|l| l.strip_prefix(name).filter(|rest| rest.starts_with(' ')));
        let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<f64>().ok());
        number.ok_or_else(|| format!("state_rmw did not say `{name}`: {}", ran.stdout))
    };
    let note = format!("looked ahead {:.0} ns; 63 % first writes of an epoch {:.0} ns", of("hot, warmed")?, of("epochs")?);
    Ok(vec![Line::new("state read-modify-write", of("hot")?, "ns", Bar::AtMost(150.0)).note(note)])
}

/// One row through a slot, an idle job, a lone row.
pub(crate) fn rows() -> Result<Vec<Line>, Failure> {
    let chain = run("latency", &["chain"], &[])?.number("micros")?;
    let idle = run("latency", &["idle", "5"], &[])?.number("percent")?;
    let lone = run("latency", &["lone", "5"], &[])?;
    let note = format!("p99.9; median {:.3}, worst {:.3}", lone.number("p50_ms")?, lone.number("max_ms")?);
    Ok(vec![
        Line::new("one row, filter and map", chain, "us", Bar::AtMost(20.0)).note("a slot by hand, batch of one"),
        Line::new("idle job of 2 slots", idle, "% core", Bar::AtMost(0.5)).note("over 5 s"),
        Line::new("lone row, 2 slots, keyed", lone.number("p999_ms")?, "ms", Bar::AtMost(5.0)).note(note).detail(lone.json()?),
    ])
}

/// From the arrival of the row that closed a window to its rows' writing.
pub(crate) fn windows() -> Result<Vec<Line>, Failure> {
    let ran = run("latency", &["windows", "20"], &[])?;
    let (p50, p99, max) = (ran.number("p50_ms")?, ran.number("p99_ms")?, ran.number("max_ms")?);
    let note = format!("p50 {p50:.3}, p99 {p99:.3}, worst {max:.3}; 200 k rows/s, 1 slot");
    Ok(vec![Line::new("window row, p99.9", ran.number("p999_ms")?, "ms", Bar::AtMost(10.0)).note(note).detail(ran.json()?)])
}

/// 1 → 2 → 4 → 1 slots under load.
pub(crate) fn rescale() -> Result<Vec<Line>, Failure> {
    let ran = run("rescale", &[], &[])?;
    let wrong = ran.number("wrong_keys")?;
    if wrong > 0.0 {
        return Err(format!("{wrong} keys have rows lost or doubled: {}", ran.stdout.trim()).into());
    }
    let (mut surplus, mut took) = (f64::MIN, Vec::new());
    for slots in [2, 4, 1] {
        let of = |what: &str| ran.number(&format!("to_{slots}_{what}"));
        // One a slot may move besides.
        surplus = surplus.max((of("moved")? - of("least")?).abs() / f64::from(slots));
        took.push(format!(
            "to {slots}: {:.1} s, {} moved of {} at least, silent {:.0} ms, latency {:.0} ms",
            of("s")?,
            of("moved")?,
            of("least")?,
            of("silence_ms")?,
            of("latency_ms")?
        ));
    }
    let before = format!("before it {:.0} ms; {:.0} MiB of state", ran.number("silence_before_ms")?, ran.number("state_mb")?);
    let gates =
        format!("upper bound of its bucket; {} batches, longest {:.1} ms", ran.number("batches")?, ran.number("gate_max_ms")?);
    Ok(vec![
        Line::new("rescale, gate p99", ran.number("gate_p99_ms_at_most")?, "ms", Bar::AtMost(50.0)).note(gates),
        Line::new("rescale, longest silence", ran.number("silence_ms")?, "ms", Bar::AtMost(200.0))
            .note(before)
            .detail(ran.json()?),
        Line::new("rescale, moves beyond least a slot", surplus, "groups", Bar::AtMost(1.0)).note(took.join("; ")),
    ])
}

/// Simulated runs a minute.
pub(crate) fn simulator() -> Result<Vec<Line>, Failure> {
    let seeds = 1000.0;
    let ran = run("watershed-sim", &["--seeds", "0..1000"], &[])?;
    let note = format!("{seeds} seeds clean in {:.1} s", ran.wall);
    Ok(vec![Line::new("simulator", seeds / ran.wall * 60.0, "/min", Bar::AtLeast(5000.0)).note(note)])
}
