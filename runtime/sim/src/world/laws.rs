//! Checks while a run goes on: each manifest that comes into the log, and who owns what.

use std::collections::BTreeSet;

use watershed_runtime::key::{GroupSet, SlotId};
use watershed_runtime::protocol::entry::{Body, Entry};
use watershed_runtime::protocol::manifest::Manifest;

use super::cover::Cover;
use super::env::{SPACE, SimEnv};
use super::net::Net;
use super::sink::Staged;
use super::slot::SimSlot;

/// Records coverage for the slot; the result is the number of late rows in it.
pub(super) fn look_at_slot(slot: &mut SimSlot, env: &mut SimEnv) -> u64 {
    let moves = slot.slot.move_stats();
    for (n, cover) in
        [(moves.final_first, Cover::FinalFirst), (moves.gated_rows, Cover::Gated), (moves.frames_aside, Cover::SetAside)]
    {
        if n > 0 {
            env.seen.see(cover);
        }
    }
    let late = slot.slot.late();
    if late > 0 {
        env.seen.see(Cover::Late);
    }
    late
}

/// I2, I11: what a slot has given away stays with it until a manifest carries the cut, so that a crash would find it.
pub(super) fn copies_kept(net: &mut Net, slots: &mut [Option<SimSlot>], carried: u64, env: &mut SimEnv) {
    net.cuts.retain(|p| p.version > carried);
    for plan in &net.cuts {
        let Some(Some(slot)) = slots.get_mut(usize::from(plan.source.0)) else { continue };
        if !slot.slot.keeps(plan.version) {
            let (slot, batch) = (plan.source.0, plan.batch);
            return env
                .broken(|| format!("I2: slot {slot} has dropped its copy of batch {batch}, and no manifest carries the cut"));
        }
    }
}

/// I1: a group is active in one slot at most.
pub(super) fn one_owner(slots: &mut [Option<SimSlot>], env: &mut SimEnv) {
    let mut all = GroupSet::new(SPACE);
    for (i, slot) in slots.iter_mut().enumerate() {
        let Some(slot) = slot else { continue };
        let tables = slot.slot.active_groups();
        let Some(first) = tables.first() else { continue };
        if tables.iter().any(|t| t != first) {
            return env.broken(|| format!("I1: the tables of slot {i} disagree about what is active"));
        }
        if first.intersects(&all) {
            return env.broken(|| format!("I1: a group of slot {i} is active in another slot too"));
        }
        all.union(first);
    }
}

/// I8: nobody is let go whom the newest manifest names as an owner, or whose output is not committed. A run that has published nothing yet
/// began with the groups of those who are not in it dealt to others.
pub(super) fn let_go(run: u64, slot: SlotId, env: &mut SimEnv) {
    if env.owners.0 == run && env.owners.1.contains(&slot) {
        env.broken(|| format!("I8: slot {} is let go, but the newest manifest names it as an owner", slot.0));
    }
    if let Some(owed) = env.sinks.owes(slot) {
        env.broken(|| format!("I8: slot {} is let go, but {owed:?} is not committed", slot.0));
    }
}

/// I5, I7, I10: every entry of the log, when it comes into being.
pub(super) fn look_at_log(env: &mut SimEnv) {
    for name in env.store.take_fresh() {
        let Some(bytes) = env.store.get(&name) else { continue };
        let seq = name.trim_start_matches("manifest/").trim_end_matches(".json").parse().unwrap_or(0);
        match Entry::decode(seq, &bytes) {
            Ok(entry) => check_entry(&entry, env),
            Err(e) => env.broken(|| format!("I5: a log entry cannot be read: {e}")),
        }
    }
}

fn check_entry(entry: &Entry, env: &mut SimEnv) {
    if entry.term < env.term.0 {
        let (term, seq, before) = (entry.term, entry.seq, env.term.0);
        env.broken(|| format!("I10: entry {seq} has term {term} after term {before}"));
    }
    env.term.0 = entry.term;
    let Body::Epoch { manifest } = &entry.body else { return };
    if manifest.epoch <= env.term.1 {
        let (epoch, before) = (manifest.epoch, env.term.1);
        env.broken(|| format!("I10: the manifest of epoch {epoch} follows that of epoch {before}"));
    }
    env.term.1 = manifest.epoch;
    env.owners = (manifest.injected_term, manifest.table.runs.iter().map(|(_, slot)| *slot).collect());
    env.carried.insert(manifest.injected_term, manifest.table.version);
    check_manifest(manifest, env);
    super::ending::check_ending(manifest, env);
}

fn check_manifest(manifest: &Manifest, env: &mut SimEnv) {
    let epoch = manifest.epoch;
    let missing = env.store.missing(manifest.files.iter().map(|f| f.name.as_str())).first().map(|f| (*f).to_owned());
    if let Some(f) = missing {
        env.broken(|| format!("I5: manifest {epoch} names {f}, which is not there"));
    }
    let version = manifest.table.version;
    if let Some(seen) = env.barriers.get(&(manifest.injected_term, epoch)).copied().filter(|v| *v != version) {
        env.broken(|| format!("I4: manifest {epoch} carries table version {version}, but its barrier saw {seen}"));
    }
    if let Err(e) = manifest.table.assignment() {
        env.broken(|| format!("I5: manifest {epoch}: {e}"));
    }
    for source in manifest.sources.values() {
        let mut seen = BTreeSet::new();
        if let Some(s) = source.splits.iter().find(|s| !seen.insert(&s.split)) {
            let split = s.split.clone();
            env.broken(|| format!("I5: manifest {epoch} has split {split:?} twice"));
        }
    }
    for h in &manifest.handles {
        match Staged::decode(&h.handle.data) {
            Some(staged) => env.sinks.name(staged),
            None => env.broken(|| format!("I5: manifest {epoch} has a handle that names nothing")),
        }
    }
}
