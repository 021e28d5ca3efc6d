//! The numbers as text.

use super::setting::{Setting, Told};

fn percentile(all: &mut [i64], of: f64) -> f64 {
    all.sort_unstable();
    let at = ((all.len() as f64 * of) as usize).min(all.len().saturating_sub(1));
    all.get(at).map_or(f64::NAN, |n| *n as f64 / 1e6)
}

fn line(what: &str, rows: &mut [i64]) -> String {
    let (n, half, most, max) = (rows.len(), percentile(rows, 0.5), percentile(rows, 0.99), percentile(rows, 1.0));
    format!("| {what} | {n} | {half:.2} | {most:.2} | {max:.2} |\n")
}

/// A table of what a rescale and a stop did to rows.
#[must_use]
pub fn table(set: &Setting, live: &mut Told, stopped: Option<&mut Told>) -> String {
    let (from, to) = set.slots;
    let mut text = format!(
        "{:.1} GB of state, {from} slots to {to}, {:.0} % of what {from} sustain; virtual time\n\n| rows | how many | p50 ms | p99 ms | longest ms |\n|---|---:|---:|---:|---:|\n",
        set.state / 1e9,
        set.load * 100.0
    );
    text.push_str(&line("before", &mut live.before));
    text.push_str(&line("during, of keys that stay", &mut live.stayed));
    text.push_str(&line("during, of keys that move", &mut live.moved));
    text.push_str(&line("after", &mut live.after));
    let silence = (live.silence.0 as f64 / 1e6, live.silence.1 as f64 / 1e6);
    let mut end = format!(
        "\nit takes {:.1} s; the longest silence of output is {:.2} ms before and {:.2} ms during it\n",
        live.took as f64 / 1e9,
        silence.0,
        silence.1
    );
    if let Some(stopped) = stopped {
        let mut during: Vec<i64> = stopped.moved.iter().chain(&stopped.stayed).copied().collect();
        text.push_str(&line("stop and copy: during", &mut during));
        text.push_str(&line("stop and copy: after", &mut stopped.after));
        end.push_str(&format!("stop and copy stops for {:.1} s\n", stopped.took as f64 / 1e9));
    }
    text + &end
}
