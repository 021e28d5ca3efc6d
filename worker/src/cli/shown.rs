//! The status of a running job, for people and for programs.

use std::io::Write;

use serde_json::json;
use watershed_wire::v1::{RescaleStatus, StatusReply};

fn phase(now: &StatusReply) -> String {
    now.phase().as_str_name().trim_start_matches("PHASE_").to_lowercase()
}

pub(super) fn as_table(out: &mut dyn Write, now: &StatusReply) -> std::io::Result<()> {
    let age = now.epoch_age_millis.map_or_else(String::new, |ms| format!(", published {:.1} s ago", ms as f64 / 1000.0));
    let (term, generation) = now.era.as_ref().map_or((0, 0), |e| (e.term, e.generation));
    let (phase, epoch, wanted, unit) = (phase(now), now.epoch, now.wanted, unit(now));
    writeln!(out, "{}: {phase}, term {term}, generation {generation}, epoch {epoch}{age}, {wanted} {unit} wanted", now.job)?;
    writeln!(
        out,
        "{:<14} {:>6} {:>12} {:>12} {:>8} {:>12}  SLOTS",
        "WORKER", "GROUPS", "ROWS IN/S", "ROWS OUT/S", "BLOCKED", "STATE"
    )?;
    for w in &now.workers {
        let name = w.identity.as_ref().map_or("", |i| i.name.as_str());
        let slots: Vec<String> = w.slots.iter().map(u32::to_string).collect();
        let there = match (w.connected, w.leaving) {
            (false, _) => "  (not connected)",
            (true, true) => "  (leaves)",
            (true, false) => "",
        };
        let state = format!("{:.1} MiB", w.state_bytes as f64 / 1_048_576.0);
        let (rows_in, rows_out) = (w.rows_in_per_second, w.rows_out_per_second);
        let (groups, blocked, slots) = (w.key_groups, w.back_pressure * 100.0, slots.join(","));
        writeln!(out, "{name:<14} {groups:>6} {rows_in:>12.0} {rows_out:>12.0} {blocked:>7.0}% {state:>12}  {slots}{there}")?;
    }
    for e in &now.epochs {
        writeln!(out, "  epoch {}: {} of {} slots aligned, {} durable", e.epoch, e.aligned, e.slots, e.uploaded)?;
    }
    if let Some(text) = now.rescale.as_ref().map(|r| rescale_text(r, unit)) {
        writeln!(out, "  {text}")?;
    }
    for r in &now.ranges {
        writeln!(out, "  key groups {:>5} to {:>5}: slot {}, worker {}", r.first, r.first + r.groups - 1, r.slot, r.worker)?;
    }
    now.waiting.iter().try_for_each(|w| writeln!(out, "waiting {w}"))
}

/// The unit of a job's target: slots where its only worker is in the same process and has no address.
fn unit(now: &StatusReply) -> &'static str {
    if now.workers.iter().any(|w| w.data_address.is_empty()) { "slots" } else { "workers" }
}

fn rescale_text(r: &RescaleStatus, unit: &str) -> String {
    let mut text = format!("rescale {} to {} {unit}: {} of {} key groups moved", r.from, r.to, r.groups_moved, r.groups_to_move);
    if let Some(c) = &r.current {
        text.push_str(&format!(", {}", c.step().as_str_name().trim_start_matches("BATCH_STEP_").to_lowercase()));
        if c.groups > 0 {
            text.push_str(&format!(" batch {} of {} groups from slot {} to slot {}", c.batch, c.groups, c.source, c.target));
        }
    }
    text
}

pub(super) fn as_json(out: &mut dyn Write, now: &StatusReply) -> std::io::Result<()> {
    let workers = now.workers.iter().map(|w| {
        json!({
            "worker": w.worker, "name": w.identity.as_ref().map(|i| i.name.as_str()), "connected": w.connected, "leaving": w.leaving,
            "slots": w.slots, "key_groups": w.key_groups, "rows_in_per_second": w.rows_in_per_second,
            "rows_out_per_second": w.rows_out_per_second, "back_pressure": w.back_pressure, "lag_millis": w.lag_millis,
            "state_bytes": w.state_bytes, "waiting": w.waiting,
        })
    });
    let ranges = now.ranges.iter().map(|r| json!({ "first": r.first, "groups": r.groups, "slot": r.slot, "worker": r.worker }));
    let rescale = now.rescale.as_ref().map(|r| {
        json!({
            "from": r.from, "to": r.to, "groups_moved": r.groups_moved, "groups_to_move": r.groups_to_move,
            "step": r.current.as_ref().map(|c| c.step().as_str_name().trim_start_matches("BATCH_STEP_").to_lowercase()),
        })
    });
    let epochs =
        now.epochs.iter().map(|e| json!({ "epoch": e.epoch, "aligned": e.aligned, "uploaded": e.uploaded, "slots": e.slots }));
    let all = json!({
        "rescale": rescale, "epochs": epochs.collect::<Vec<_>>(),
        "job": now.job, "phase": phase(now), "term": now.era.as_ref().map(|e| e.term),
        "generation": now.era.as_ref().map(|e| e.generation), "epoch": now.epoch,
        "wanted": now.wanted, "waiting": now.waiting, "workers": workers.collect::<Vec<_>>(), "ranges": ranges.collect::<Vec<_>>(),
    });
    writeln!(out, "{all}")
}
