//! A slot of the production in the simulator: whether it wants to run, and what is looked at when it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use watershed_runtime::coordinator::NewSlot;
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{Assignment, GroupSet, SlotId};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::slot::{Event, Report, RetainedState, Slot, SlotConfig, SlotSeat, Status};
use watershed_runtime::state::snapshot::each_item;

use super::cover::Cover;
use super::env::SimEnv;
use super::net::{Net, SlotOutbox};

/// A slot's waker: remembers that it was called.
#[derive(Debug, Default)]
pub(super) struct TestWaker(AtomicBool);

impl Wake for TestWaker {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A slot and whether it wants to run.
#[derive(Debug)]
pub(super) struct SimSlot {
    pub(super) slot: Slot,
    waker: Arc<TestWaker>,
    pub(super) busy: bool,
    pub(super) timeout: Option<i64>,
}

impl SimSlot {
    fn new(term: u64, graph: &Arc<Graph>, env: &SimEnv, config: impl FnOnce(SlotSeat) -> SlotConfig) -> Result<Self> {
        let waker = Arc::new(TestWaker::default());
        let seat = SlotSeat {
            graph: graph.clone(),
            term,
            window: env.plan.window,
            tuning: env.plan.tuning,
            waker: Waker::from(waker.clone()),
        };
        #[allow(unused_mut, reason = "only mutants change it")]
        let mut slot = Slot::new(config(seat))?;
        #[cfg(feature = "mutants")]
        slot.set_rules(env.rules);
        Ok(Self { slot, waker, busy: true, timeout: None })
    }

    /// A slot as a manifest has it; one that was there in the run before goes back in memory.
    pub(super) fn restored(
        term: u64,
        graph: &Arc<Graph>,
        id: SlotId,
        kept: Option<RetainedState>,
        (manifest, table): (&Manifest, &Assignment),
        env: &mut SimEnv,
    ) -> Result<Self> {
        let mut made = Self::new(term, graph, env, |seat| SlotConfig::restored(seat, id, manifest, table))?;
        let mut groups = table.groups_of(id);
        if let Some(kept) = kept {
            let inherited = made.slot.inherit(kept, manifest);
            env.seen.see(if inherited.is_empty() { Cover::NotInherited } else { Cover::Inherited });
            groups.subtract(&inherited);
        }
        restore(&mut made.slot, manifest, &groups, env)?;
        made.slot.start_from(manifest)?;
        Ok(made)
    }

    /// A slot that joins.
    pub(super) fn joining(term: u64, graph: &Arc<Graph>, new: NewSlot, env: &SimEnv) -> Result<Self> {
        let mut made = Self::new(term, graph, env, |seat| SlotConfig::joining(seat, new))?;
        made.slot.start(&[])?;
        Ok(made)
    }

    /// Lets it run.
    pub(super) fn run(&mut self, at: usize, net: &mut Net, env: &mut SimEnv) -> Status {
        if self.waker.0.swap(false, Ordering::Relaxed) {
            self.slot.wake();
        }
        let now = env.time_of(at);
        let status = self.slot.run(now, &mut SlotOutbox { net, me: SlotId(at as u16) });
        let late = self.slot.late();
        if late > 0 && env.expected.late == 0 {
            env.broken(|| format!("I6: {late} rows are late at slot {at}"));
        }
        (self.busy, self.timeout) = match status {
            Status::Busy => (true, None),
            Status::Idle(t) => (false, t.filter(|t| *t > now).map(|t| env.until(at, t))),
        };
        status
    }

    pub(super) fn wants(&self, now: i64) -> bool {
        self.busy || self.waker.0.load(Ordering::Relaxed) || self.timeout.is_some_and(|t| t <= now)
    }
}

/// Reads these groups out of the manifest's files.
fn restore(slot: &mut Slot, manifest: &Manifest, groups: &GroupSet, env: &SimEnv) -> Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut files: Vec<_> = manifest.files.iter().collect();
    files.sort_by_key(|f| (f.to_epoch, f.from_epoch));
    for file in files {
        let bytes = env.store.get(&file.name);
        let bytes =
            bytes.ok_or_else(|| Error::broken("I5, I14", format!("the manifest names {}, which is not there", file.name)))?;
        each_item(&bytes, groups, |s| slot.restore(s.table, &s.item))?;
    }
    Ok(())
}

pub(super) fn said(report: &Report) -> String {
    match report {
        Report::Sealed(e, part) => format!("sealed {e}: {} handles, changed {}", part.handles.len(), part.changed),
        Report::Failed(e) | Report::Poisoned(e) => format!("failed: {e}"),
        other @ (Report::Aligned(_)
        | Report::Handed(..)
        | Report::SplitFinished(..)
        | Report::Warmed(_)
        | Report::Active(_)
        | Report::Ended) => format!("{other:?}"),
    }
}

pub(super) fn shown(event: &Event) -> String {
    use watershed_runtime::frame::Item;
    use watershed_runtime::slot::{Bulk, Command};
    let plan = |p: &watershed_runtime::protocol::cut::CutPlan| {
        format!("batch {} v{} {}->{}", p.batch, p.version, p.source.0, p.target.0)
    };
    match event {
        Event::Frame(f) => match &f.item {
            Item::Data(b, tag) => format!("edge {} {} rows {tag:?}", f.edge, b.len()),
            Item::Barrier(b) => format!("edge {} barrier {} {:?}", f.edge, b.epoch, b.members),
            Item::Fence(p) => format!("edge {} fence {}", f.edge, plan(p)),
            Item::Drained(p) => format!("edge {} drained {}", f.edge, plan(p)),
            other @ (Item::Watermark(_) | Item::Idle) => format!("edge {} {other:?}", f.edge),
        },
        Event::Credit { edge, rows, window, .. } => format!("edge {edge} credit {rows} of {window}"),
        Event::Bulk(Bulk::Warm { plan: p, .. }) => format!("warm {}", plan(p)),
        Event::Bulk(Bulk::Final { plan: p, watermarks, .. }) => format!("final {} {watermarks:?}", plan(p)),
        Event::WarmupAck(batch) => format!("taken {batch}"),
        Event::Command(Command::Warm(p)) => format!("command warm {}", plan(p)),
        Event::Command(Command::Cut(p)) => format!("command cut {}", plan(p)),
        Event::Command(c) => format!("command {c:?}"),
    }
}
