//! A coordinator that waits for workers looks at the log now and then: whether a newer term has begun than it knows of.
//!
//! A worker goes to no coordinator that is older than one it has heard of, and a coordinator is as old as the newest term it knows. One that was
//! started while another still began runs knows of a term that is over. Where that other one goes (it was stopped, or its machine is lost) the workers it
//! leaves would go to nobody and this one would wait for them: for ever, on both sides, and nothing would say so (I12).
//!
//! Only who has no run looks: a run that is under way is fenced by the log when it writes. To look is to read the hint and what comes after it. It is
//! done on a thread beside: a storage that is away keeps nobody waiting, and what cannot be read says nothing new. Which term is claimed
//! in the end the log alone decides (I10); this is what workers are told before.

use std::time::{Duration, Instant};

use super::coordinator::Office;
use super::told::Told;
use crate::restore::read_log;

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(2);

/// When a look at the log is due; `None` while somebody looks.
pub(super) type Due = Option<Instant>;

/// The log has just been read.
pub(super) fn later() -> Due {
    Some(Instant::now() + LOOK)
}

impl Office {
    /// Looks, if it is time.
    pub(super) fn look_for_a_newer_term(&mut self) {
        if self.running.is_some() || self.look.is_none_or(|at| Instant::now() < at) {
            return;
        }
        let (store, told) = (self.store.clone(), self.told.clone());
        let look = move || {
            let term = read_log(&store).map_or(0, |tail| tail.term);
            // Nobody is there any more, where this fails.
            let _over = told.send(Told::Newest(term));
        };
        let begun = std::thread::Builder::new().name("look".into()).spawn(look);
        self.look = if begun.is_ok() { None } else { later() };
    }

    /// The newest term that was found; 0 where the log could not be read.
    pub(super) fn looked(&mut self, term: u64) {
        self.look = later();
        // Who has begun in the meantime has claimed a term of its own.
        if self.running.is_none() {
            self.term = self.term.max(term);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};

    use watershed_runtime::graph::Graph;
    use watershed_wire::PROTOCOL;
    use watershed_wire::v1::{Identity, Item, Refused, Register, Registered};

    use super::super::dataflow::fingerprint;
    use super::super::job::CoordinatorJob;
    use super::*;
    use crate::transport::{ControlHandler, Network, Notice, Session, SessionConfig, threads};

    const DEADLINE: Duration = Duration::from_secs(60);

    struct Ear(Sender<Registered>);

    impl ControlHandler for Ear {
        fn registered(&self, registered: Registered) {
            let _over = self.0.send(registered);
        }

        fn refused(&self, refused: Refused) -> bool {
            panic!("{}", refused.detail);
        }

        fn received(&self, _: Item) {}

        fn notice(&self, _: Notice) {}
    }

    fn graph() -> Graph {
        let job = crate::Job::new();
        job.source("rows", crate::io::generate(|n| n).rows(1)).sink("out", crate::io::blackhole());
        job.build().unwrap()
    }

    /// What a worker without a history hears when it registers with a coordinator.
    fn heard_by_a_worker(coordinator: &str, incarnation: usize) -> u64 {
        let (runtime, (told, heard)) = (threads(1).unwrap(), channel());
        let register = Register {
            identity: Some(Identity { name: "worker-0".into(), incarnation: incarnation.to_string() }),
            slots: 1,
            fingerprint: fingerprint(&graph().shape().unwrap().nodes),
            protocol: PROTOCOL,
            job: "waits".into(),
            ..Register::default()
        };
        let config = SessionConfig { coordinator: coordinator.into(), network: Network::default(), register };
        let session = Session::start(config, Arc::new(Ear(told)), runtime.handle());
        let registered = heard.recv_timeout(DEADLINE).unwrap();
        drop(session);
        registered.era.unwrap_or_default().term
    }

    #[test]
    fn who_waits_for_workers_learns_of_a_term_that_has_begun_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let job = || CoordinatorJob::new("waits", graph(), dir.path().display().to_string());
        let (claim, (ready, at)) = (job().claim, channel());
        let waits = job();
        let waiting =
            std::thread::spawn(move || waits.run(|address, stopper| ready.send((address.to_string(), stopper)).unwrap()));
        let (address, stopper) = at.recv_timeout(DEADLINE).unwrap();
        assert_eq!(heard_by_a_worker(&address, 0), 1, "no term has begun, and the next is its own");
        // Another coordinator of the job begins two runs, and goes.
        let (store, keys) = claim.open(&dir.path().display().to_string()).unwrap();
        let slots = BTreeSet::from([watershed_runtime::key::SlotId(0)]);
        let newest = (0..2).map(|n| claim.take_over(&store, keys, &slots, &n.to_string()).unwrap().log.term()).max().unwrap();
        let deadline = Instant::now() + DEADLINE;
        let mut incarnations = 1..;
        while heard_by_a_worker(&address, incarnations.next().unwrap()) <= newest {
            std::thread::park_timeout(Duration::from_millis(20));
            assert!(Instant::now() < deadline, "workers that have heard of term {newest} would never come");
        }
        stopper.stop();
        waiting.join().unwrap().unwrap();
    }
}
