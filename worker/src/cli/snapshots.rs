//! `snapshots list`, `show` and `delete`: what a job's storage holds. Claims nothing: the job may run meanwhile.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::protocol::entry::{Body, Entry};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::protocol::named::{FOLDER, NamedSnapshot, is_named, object_of};
use watershed_runtime::time::Time;

use super::exit::{Printed, print};
use crate::local::LocalJob;
use crate::store::Store;
use crate::telemetry::rfc3339;

/// Opens a job's storage, unless there is none: looking must not make it.
pub(super) fn open(job: &str, storage: Option<&str>) -> Result<Store> {
    let url = storage.map_or_else(|| LocalJob::default_storage(job).display().to_string(), str::to_owned);
    let path = url.strip_prefix("file://").unwrap_or(&url);
    if !path.contains("://") && !Path::new(path).is_dir() {
        return Err(Error::new(Kind::Invalid, format!("there are no snapshots of a job `{job}`"))
            .at(path)
            .advise("run the job first; if its snapshots are elsewhere, give --storage"));
    }
    Store::open(&url)
}

/// Every entry of the log, oldest first; entries that collection removes meanwhile are left out.
fn entries(store: &Store) -> Result<Vec<(u64, Manifest)>> {
    let mut names = store.list("manifest")?;
    names.sort();
    let mut all = Vec::new();
    for name in names {
        let number = name.rsplit('/').next().and_then(|n| n.strip_suffix(".json")).and_then(|n| n.parse().ok());
        let (Some(seq), Some(bytes)) = (number, store.get(&name)?) else { continue };
        if let Body::Epoch { manifest } = Entry::decode(seq, &bytes)?.body {
            all.push((seq, *manifest));
        }
    }
    Ok(all)
}

/// Every snapshot with a name.
fn all_named(store: &Store) -> Result<Vec<NamedSnapshot>> {
    let mut all = Vec::new();
    for object in store.list(FOLDER)?.iter().filter(|n| is_named(n)) {
        if let Some(bytes) = store.get(object)? {
            all.push(NamedSnapshot::decode(object, &bytes).map_err(|e| e.at(format!("storage {}", store.place())))?);
        }
    }
    Ok(all)
}

/// One line a snapshot.
pub fn list(job: &str, storage: Option<&str>) -> Result<Printed> {
    let store = open(job, storage)?;
    let there: BTreeSet<String> = store.list("state")?.into_iter().collect();
    let (all, named) = (entries(&store)?, all_named(&store)?);
    print(|out| {
        writeln!(
            out,
            "{:>10} {:>10} {:>6} {:>6} {:>12} {:>12}  COMPLETE",
            "EPOCH", "ENTRY", "SLOTS", "FILES", "BYTES", "ENTRIES"
        )?;
        for (seq, m) in all {
            let (bytes, entries) = m.files.iter().fold((0, 0), |a, f| (a.0 + f.bytes, a.1 + f.entries));
            let complete = match m.files.iter().all(|f| there.contains(&f.name)) {
                true if m.last => "yes, the job's last",
                true => "yes",
                false => "no: its files have been collected",
            };
            let (slots, files) = (m.members.len(), m.files.len());
            writeln!(out, "{:>10} {seq:>10} {slots:>6} {files:>6} {bytes:>12} {entries:>12}  {complete}", m.epoch)?;
        }
        for s in named {
            let bytes: u64 = s.manifest.files.iter().map(|f| f.bytes).sum();
            writeln!(out, "named {}: epoch {}, {bytes} bytes, at {}", s.name, s.manifest.epoch, rfc3339(s.at_micros))?;
        }
        Ok(())
    })
}

/// Gives a named snapshot up; its files go when the job next collects.
pub fn delete(job: &str, storage: Option<&str>, name: &str) -> Result<Printed> {
    let store = open(job, storage)?;
    let object = object_of(name)?;
    if store.get(&object)?.is_none() {
        return Err(Error::new(Kind::Invalid, format!("there is no snapshot `{name}`"))
            .at(format!("storage {}", store.place()))
            .advise("`snapshots list` says which there are"));
    }
    store.delete(&object)?;
    print(|out| writeln!(out, "{job}: snapshot {name} is given up"))
}

/// The contents of one snapshot: that of `epoch`, or the newest.
pub fn show(job: &str, storage: Option<&str>, epoch: Option<u64>, json: bool) -> Result<Printed> {
    let store = open(job, storage)?;
    let all = entries(&store)?;
    let found = all.into_iter().rev().find(|(_, m)| epoch.is_none_or(|e| m.epoch == e));
    let Some((seq, manifest)) = found else {
        let which = epoch.map_or_else(|| "any".to_owned(), |e| format!("epoch {e}"));
        return Err(Error::new(Kind::Invalid, format!("there is no snapshot of {which}"))
            .at(format!("storage {}", store.place()))
            .advise("`snapshots list` says which there are"));
    };
    if json {
        let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
        return print(|out| writeln!(out, "{text}"));
    }
    print(|out| describe(out, seq, &manifest))
}

fn describe(out: &mut dyn Write, seq: u64, m: &Manifest) -> std::io::Result<()> {
    writeln!(
        out,
        "epoch {} (log entry {seq}, term {}){}",
        m.epoch,
        m.injected_term,
        if m.last { ", the job's last" } else { "" }
    )?;
    let slots: Vec<String> = m.members.iter().map(|s| s.0.to_string()).collect();
    writeln!(out, "slots {}; {} key groups in {} runs", slots.join(", "), m.table.space.groups(), m.table.runs.len())?;
    writeln!(out, "nodes")?;
    for node in &m.graph {
        write!(out, "  {} {:016x}", node.name, node.id.0)?;
        if let Some(w) = m.watermarks.get(&node.id.0) {
            write!(out, ", watermark {}", time(*w))?;
        }
        if let Some(source) = m.sources.get(&node.id.0) {
            let done = source.splits.iter().filter(|s| s.finished).count();
            write!(out, ", {done} of {} splits read", source.splits.len())?;
        }
        if let Some(through) = m.committed_through.get(&node.id.0) {
            write!(out, ", committed through epoch {through}")?;
        }
        writeln!(out)?;
        for state in &node.states {
            writeln!(out, "    state {}", state.name)?;
        }
    }
    writeln!(out, "state files")?;
    for f in &m.files {
        writeln!(out, "  {}: {} bytes, {} entries, epochs {} to {}", f.name, f.bytes, f.entries, f.from_epoch, f.to_epoch)?;
    }
    writeln!(out, "staged output not known to be committed: {}", m.handles.len())
}

fn time(t: Time) -> String {
    match t {
        Time::MIN => "none".into(),
        Time::MAX => "the end".into(),
        Time(micros) => rfc3339(micros),
    }
}
