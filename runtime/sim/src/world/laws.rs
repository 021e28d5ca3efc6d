//! What is checked while a run goes on: each manifest that comes into the log, and who owns what.

use std::collections::BTreeSet;

use watershed_runtime::key::{GroupSet, SlotId};
use watershed_runtime::protocol::entry::{Body, Entry};
use watershed_runtime::protocol::manifest::Manifest;

use super::cover::Cover;
use super::net::Net;
use super::process::{Ground, Host, Life, Process};
use super::sink::Staged;
use super::start::SPACE;

impl Process {
    /// Log entries that came into being since the last look.
    pub(super) fn look_at_log(&self, ground: &mut Ground) {
        look_at_log(ground);
    }

    /// What its slots came across, and that no row was late that should not be.
    pub(super) fn look_at_slots(&mut self, ground: &mut Ground) {
        let mut late = 0;
        for host in self.hosts.iter_mut().flatten() {
            late += look_at_host(host, ground);
        }
        if late > 0 {
            ground.seen.see(Cover::Late);
        }
        if late > 0 && ground.expected.late == 0 {
            ground.broken(|| format!("I6: {late} rows are late"));
        }
    }

    /// [`copies_kept`] in this process.
    pub(super) fn copies_kept(&mut self, ground: &mut Ground) {
        let Life::Running(c) = &self.life else { return };
        let carried = c.last().table.version;
        copies_kept(&mut self.net, &mut self.hosts, carried, ground);
    }

    /// [`one_owner`] in this process.
    pub(super) fn one_owner(&mut self, ground: &mut Ground) {
        one_owner(&mut self.hosts, ground);
    }
}

/// What a slot came across; how many rows were late in it.
pub(super) fn look_at_host(host: &mut Host, ground: &mut Ground) -> u64 {
    let moves = host.slot.move_stats();
    for (n, cover) in
        [(moves.final_first, Cover::FinalFirst), (moves.gated_rows, Cover::Gated), (moves.frames_aside, Cover::SetAside)]
    {
        if n > 0 {
            ground.seen.see(cover);
        }
    }
    host.slot.late()
}

/// I2, I11: what a slot has given away stays with it until a manifest carries the cut, so that a crash would find it.
pub(super) fn copies_kept(net: &mut Net, hosts: &mut [Option<Host>], carried: u64, ground: &mut Ground) {
    net.cuts.retain(|p| p.version > carried);
    for plan in &net.cuts {
        let Some(Some(host)) = hosts.get_mut(usize::from(plan.source.0)) else { continue };
        if !host.slot.keeps(plan.version) {
            let (slot, batch) = (plan.source.0, plan.batch);
            return ground
                .broken(|| format!("I2: slot {slot} has dropped its copy of batch {batch}, and no manifest carries the cut"));
        }
    }
}

/// I1: a group is active in one slot at most.
pub(super) fn one_owner(hosts: &mut [Option<Host>], ground: &mut Ground) {
    let mut all = GroupSet::new(SPACE);
    for (i, host) in hosts.iter_mut().enumerate() {
        let Some(host) = host else { continue };
        let tables = host.slot.active_groups();
        let Some(first) = tables.first() else { continue };
        if tables.iter().any(|t| t != first) {
            return ground.broken(|| format!("I1: the tables of slot {i} disagree about what is active"));
        }
        if first.intersects(&all) {
            return ground.broken(|| format!("I1: a group of slot {i} is active in another slot too"));
        }
        all.union(first);
    }
}

/// I8: nobody is let go whom the newest manifest names as an owner, or whose output is not committed. A run that has published nothing yet began
/// with the groups of those who are not in it dealt to others.
pub(super) fn let_go(run: u64, slot: SlotId, ground: &mut Ground) {
    if ground.owners.0 == run && ground.owners.1.contains(&slot) {
        ground.broken(|| format!("I8: slot {} is let go, but the newest manifest names it as an owner", slot.0));
    }
    if let Some(owed) = ground.sinks.owes(slot) {
        ground.broken(|| format!("I8: slot {} is let go, but {owed:?} is not committed", slot.0));
    }
}

/// I5, I7, I10: every entry of the log, when it comes into being.
pub(super) fn look_at_log(ground: &mut Ground) {
    for name in ground.store.take_fresh() {
        let Some(bytes) = ground.store.get(&name) else { continue };
        let seq = name.trim_start_matches("manifest/").trim_end_matches(".json").parse().unwrap_or(0);
        match Entry::decode(seq, &bytes) {
            Ok(entry) => check_entry(&entry, ground),
            Err(e) => ground.broken(|| format!("I5: a log entry cannot be read: {e}")),
        }
    }
}

fn check_entry(entry: &Entry, ground: &mut Ground) {
    if entry.term < ground.term.0 {
        let (term, seq, before) = (entry.term, entry.seq, ground.term.0);
        ground.broken(|| format!("I10: entry {seq} has term {term} after term {before}"));
    }
    ground.term.0 = entry.term;
    let Body::Epoch { manifest } = &entry.body else { return };
    if manifest.epoch <= ground.term.1 {
        let (epoch, before) = (manifest.epoch, ground.term.1);
        ground.broken(|| format!("I10: the manifest of epoch {epoch} follows that of epoch {before}"));
    }
    ground.term.1 = manifest.epoch;
    ground.owners = (manifest.injected_term, manifest.table.runs.iter().map(|(_, slot)| *slot).collect());
    ground.carried.insert(manifest.injected_term, manifest.table.version);
    check_manifest(manifest, ground);
    super::ending::check_ending(manifest, ground);
}

fn check_manifest(manifest: &Manifest, ground: &mut Ground) {
    let epoch = manifest.epoch;
    let missing = ground.store.missing(manifest.files.iter().map(|f| f.name.as_str())).first().map(|f| (*f).to_owned());
    if let Some(f) = missing {
        ground.broken(|| format!("I5: manifest {epoch} names {f}, which is not there"));
    }
    let version = manifest.table.version;
    if let Some(seen) = ground.barriers.get(&(manifest.injected_term, epoch)).copied().filter(|v| *v != version) {
        ground.broken(|| format!("I4: manifest {epoch} carries table version {version}, but its barrier saw {seen}"));
    }
    if let Err(e) = manifest.table.assignment() {
        ground.broken(|| format!("I5: manifest {epoch}: {e}"));
    }
    for source in manifest.sources.values() {
        let mut seen = BTreeSet::new();
        if let Some(s) = source.splits.iter().find(|s| !seen.insert(&s.split)) {
            let split = s.split.clone();
            ground.broken(|| format!("I5: manifest {epoch} has split {split:?} twice"));
        }
    }
    for h in &manifest.handles {
        match Staged::decode(&h.handle.data) {
            Some(staged) => ground.sinks.name(staged),
            None => ground.broken(|| format!("I5: manifest {epoch} has a handle that names nothing")),
        }
    }
}
