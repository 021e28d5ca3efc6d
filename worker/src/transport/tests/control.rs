//! Sessions of workers with a coordinator.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use watershed_wire::PROTOCOL;
use watershed_wire::v1::{Identity, Item, Load, RefusalReason, Refused, Register, Registered};

use super::super::*;
use super::support::{DEADLINE, Proxy, runtime};

#[derive(Debug)]
enum Heard {
    Register,
    Registered(Registered),
    Refused(Refused),
    Item(Item),
    Load(Load),
    Notice(Notice),
}

struct Ear {
    to: Mutex<Sender<Heard>>,
    term: u64,
}

impl Ear {
    fn new(term: u64) -> (Arc<Self>, Receiver<Heard>) {
        let (to, heard) = channel();
        (Arc::new(Self { to: Mutex::new(to), term }), heard)
    }

    fn hear(&self, heard: Heard) {
        let _over = self.to.lock().unwrap().send(heard);
    }
}

impl ControlHost for Ear {
    fn register(&self, worker: Register, answer: Answer) {
        if worker.fingerprint == 7 {
            let era = Some(wire::v1::Era { term: self.term, generation: 1 });
            answer.accept(Registered { era, worker: 4, session: 0, heartbeat_millis: 100, build: "test".into() });
        } else {
            answer.refuse(RefusalReason::Fingerprint, "node `count` is not in the coordinator's dataflow");
        }
        self.hear(Heard::Register);
    }

    fn received(&self, worker: u32, _: u64, item: Item) {
        assert_eq!(worker, 4);
        self.hear(Heard::Item(item));
    }

    fn load(&self, _: u32, load: Load) {
        self.hear(Heard::Load(load));
    }

    fn notice(&self, _: u32, _: u64, notice: Notice) {
        self.hear(Heard::Notice(notice));
    }
}

impl ControlHandler for Ear {
    fn registered(&self, registered: Registered) {
        self.hear(Heard::Registered(registered));
    }

    fn refused(&self, refused: Refused) -> bool {
        self.hear(Heard::Refused(refused));
        false
    }

    fn received(&self, _: u64, item: Item) {
        self.hear(Heard::Item(item));
    }

    fn notice(&self, notice: Notice) {
        self.hear(Heard::Notice(notice));
    }
}

fn until<T>(heard: &Receiver<Heard>, what: &str, pick: impl Fn(Heard) -> Option<T>) -> T {
    loop {
        if let Some(found) = pick(heard.recv_timeout(DEADLINE).unwrap_or_else(|e| panic!("no {what}: {e}"))) {
            return found;
        }
    }
}

fn item(heard: &Receiver<Heard>) -> u32 {
    until(heard, "item", |h| if let Heard::Item(item) = h { Some(item.kind) } else { None })
}

fn said(kind: u32) -> Item {
    Item { kind, payload: vec![1; 1000].into(), ..Item::default() }
}

fn coordinator(runtime: &Runtime, term: u64) -> (Sessions, Listener, Receiver<Heard>) {
    let (ear, heard) = Ear::new(term);
    let sessions = Sessions::new(ear, Duration::from_secs(3), runtime.handle().clone());
    let services = Services::default().control(&sessions);
    let listener = Listener::start(runtime.handle(), "127.0.0.1:0", &Network::default(), services).unwrap();
    (sessions, listener, heard)
}

fn worker(runtime: &Runtime, coordinator: String, fingerprint: u64) -> (Session, Receiver<Heard>) {
    worker_of(runtime, coordinator, fingerprint, 0)
}

/// A worker that has heard of a term.
fn worker_of(runtime: &Runtime, coordinator: String, fingerprint: u64, term: u64) -> (Session, Receiver<Heard>) {
    let (ear, heard) = Ear::new(0);
    let identity = Some(Identity { name: "worker-4".into(), incarnation: "i".into() });
    let register = Register { identity, fingerprint, protocol: PROTOCOL, ..Register::default() };
    let config = SessionConfig { coordinator, network: Network::default(), register, term: Arc::new(term.into()) };
    (Session::start(config, ear, runtime.handle()), heard)
}

#[test]
fn a_session_survives_dropped_connections_and_loses_nothing() {
    let runtime = runtime();
    let (sessions, listener, at_coordinator) = coordinator(&runtime, 3);
    let proxy = Proxy::new(listener.address());
    let (session, at_worker) = worker(&runtime, proxy.address.to_string(), 7);
    let registered = until(&at_worker, "registration", |h| if let Heard::Registered(r) = h { Some(r) } else { None });
    assert_eq!(registered.worker, 4);
    assert_ne!(registered.session, 0);
    let speaker = session.speaker();
    for i in 0..200 {
        speaker.send(speaker.session().0, said(i));
        assert!(sessions.send(4, said(1000 + i)));
    }
    for i in 0..200 {
        if i % 50 == 10 {
            proxy.cut();
        }
        assert_eq!(item(&at_coordinator), i);
        assert_eq!(item(&at_worker), 1000 + i);
    }
    let again =
        at_coordinator.try_iter().chain(at_worker.try_iter()).find(|h| matches!(h, Heard::Register | Heard::Registered(_)));
    assert!(again.is_none(), "the same session goes on: {again:?}");
}

#[test]
fn another_dataflow_is_refused_with_the_difference_named() {
    let runtime = runtime();
    let (_sessions, listener, _heard) = coordinator(&runtime, 3);
    let (_session, at_worker) = worker(&runtime, listener.address().to_string(), 8);
    let refused = until(&at_worker, "refusal", |h| if let Heard::Refused(r) = h { Some(r) } else { None });
    assert_eq!(refused.reason(), RefusalReason::Fingerprint);
    assert!(refused.detail.contains("`count`"));
}

#[test]
fn heartbeats_arrive_while_there_is_a_connection() {
    let runtime = runtime();
    let (_sessions, listener, at_coordinator) = coordinator(&runtime, 3);
    let (session, at_worker) = worker(&runtime, listener.address().to_string(), 7);
    until(&at_worker, "connection", |h| matches!(h, Heard::Notice(Notice::Connected)).then_some(()));
    session.speaker().load(Load { at_micros: 5, ..Load::default() });
    let load = until(&at_coordinator, "heartbeat", |h| if let Heard::Load(l) = h { Some(l) } else { None });
    assert_eq!(load.at_micros, 5);
}

#[test]
fn a_new_coordinator_is_a_new_session_and_an_old_one_is_not_listened_to() {
    let runtime = runtime();
    let (_first, first, _heard) = coordinator(&runtime, 3);
    let (_second, second, at_second) = coordinator(&runtime, 4);
    let target = Arc::new(Mutex::new(first.address()));
    let switch = super::support::Proxy::switching(Arc::clone(&target));
    let (session, at_worker) = worker(&runtime, switch.address.to_string(), 7);
    let term = |at: &Receiver<Heard>| {
        until(at, "registration", |h| if let Heard::Registered(r) = h { Some(r.era.unwrap().term) } else { None })
    };
    assert_eq!(term(&at_worker), 3);
    *target.lock().unwrap() = second.address();
    switch.cut();
    assert_eq!(term(&at_worker), 4);
    let speaker = session.speaker();
    speaker.send(speaker.session().0, said(1));
    assert_eq!(item(&at_second), 1);
    *target.lock().unwrap() = first.address();
    switch.cut();
    let why = until(&at_worker, "word of the old coordinator", |h| match h {
        Heard::Notice(Notice::Unreachable(why)) if why.contains("term 3 is over") => Some(why),
        Heard::Register | Heard::Registered(_) | Heard::Refused(_) | Heard::Item(_) | Heard::Load(_) | Heard::Notice(_) => None,
    });
    assert!(why.contains("term 4 has begun"), "{why}");
    assert!(session.down().is_some());
}

/// The second coordinator knows the newest term, and goes before it has claimed one: the first runs the job as before.
#[test]
fn a_worker_goes_back_to_a_coordinator_of_the_same_term_at_once() {
    let runtime = runtime();
    let (_first, first, at_first) = coordinator(&runtime, 3);
    let (_second, second, _heard) = coordinator(&runtime, 3);
    let target = Arc::new(Mutex::new(first.address()));
    let switch = super::support::Proxy::switching(Arc::clone(&target));
    let (session, at_worker) = worker(&runtime, switch.address.to_string(), 7);
    let registered = || until(&at_worker, "registration", |h| if let Heard::Registered(r) = h { Some(r.session) } else { None });
    let mut numbers = vec![registered()];
    for next in [&second, &first, &second, &first] {
        *target.lock().unwrap() = next.address();
        switch.cut();
        numbers.push(registered());
    }
    assert!(numbers.is_sorted() && numbers.windows(2).all(|n| n[0] != n[1]), "each is another session: {numbers:?}");
    let speaker = session.speaker();
    speaker.send(speaker.session().0, said(1));
    assert_eq!(item(&at_first), 1);
}

#[test]
fn what_is_said_in_a_session_that_is_over_goes_nowhere() {
    let runtime = runtime();
    let (_first, first, _heard) = coordinator(&runtime, 3);
    let (_second, second, at_second) = coordinator(&runtime, 4);
    let target = Arc::new(Mutex::new(first.address()));
    let switch = super::support::Proxy::switching(Arc::clone(&target));
    let (session, at_worker) = worker(&runtime, switch.address.to_string(), 7);
    let registered = || until(&at_worker, "registration", |h| matches!(h, Heard::Registered(_)).then_some(()));
    registered();
    let speaker = session.speaker();
    let old = speaker.session().0;
    *target.lock().unwrap() = second.address();
    switch.cut();
    registered();
    speaker.send(old, said(1));
    speaker.send(speaker.session().0, said(2));
    assert_eq!(item(&at_second), 2, "the first message of a session is what the worker says in it first");
}

#[test]
fn a_coordinator_of_a_lower_term_than_the_worker_has_heard_is_not_taken() {
    let runtime = runtime();
    let (_sessions, listener, _heard) = coordinator(&runtime, 3);
    let (_session, at_worker) = worker_of(&runtime, listener.address().to_string(), 7, 5);
    until(&at_worker, "word of the old coordinator", |h| match h {
        Heard::Notice(Notice::Unreachable(why)) => why.contains("term 3 is over: term 5 has begun").then_some(()),
        Heard::Registered(r) => panic!("{r:?}"),
        Heard::Register | Heard::Refused(_) | Heard::Item(_) | Heard::Load(_) | Heard::Notice(_) => None,
    });
}

#[test]
fn a_session_that_was_replaced_does_not_stand() {
    let runtime = runtime();
    let (sessions, listener, _heard) = coordinator(&runtime, 3);
    let (_session, at_worker) = worker(&runtime, listener.address().to_string(), 7);
    let registered = || until(&at_worker, "registration", |h| if let Heard::Registered(r) = h { Some(r.session) } else { None });
    let first = registered();
    assert!(sessions.stands(4, first) && !sessions.stands(5, first));
    sessions.end(4);
    assert!(!sessions.stands(4, first));
    let second = registered();
    assert!(sessions.stands(4, second) && !sessions.stands(4, first));
}

#[test]
fn the_number_of_a_session_is_no_other_coordinator_s() {
    let runtime = runtime();
    let session = |term| {
        let (_sessions, listener, _heard) = coordinator(&runtime, term);
        let (_session, at_worker) = worker(&runtime, listener.address().to_string(), 7);
        until(&at_worker, "registration", |h| if let Heard::Registered(r) = h { Some(r.session) } else { None })
    };
    assert_ne!(session(3), session(3));
}

#[test]
fn who_answers_nothing_is_told_to_come_again() {
    let runtime = runtime();
    struct Mute;
    impl ControlHost for Mute {
        fn register(&self, _: Register, answer: Answer) {
            drop(answer);
        }
        fn received(&self, _: u32, _: u64, _: Item) {}
        fn load(&self, _: u32, _: Load) {}
        fn notice(&self, _: u32, _: u64, _: Notice) {}
    }
    let sessions = Sessions::new(Arc::new(Mute), Duration::from_secs(3), runtime.handle().clone());
    let services = Services::default().control(&sessions);
    let listener = Listener::start(runtime.handle(), "127.0.0.1:0", &Network::default(), services).unwrap();
    let (_session, at_worker) = worker(&runtime, listener.address().to_string(), 7);
    let refused = until(&at_worker, "refusal", |h| if let Heard::Refused(r) = h { Some(r) } else { None });
    assert!(refused.detail.contains("stopping"));
    assert!(!sessions.send(4, said(1)));
}
