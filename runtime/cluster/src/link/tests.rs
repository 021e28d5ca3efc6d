//! The laws of the link, under every interleaving that proptest comes up with.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 40;

fn era(generation: u64) -> u64 {
    generation
}

/// One end and what happened at it.
struct End {
    link: Link<u64, u64>,
    given: u64,
    delivered: Vec<u64>,
    /// Messages under way to this end, each with the era on it.
    inbox: VecDeque<(u64, Message<u64>)>,
}

/// Two ends and the network between them.
struct World {
    ends: [End; 2],
    connected: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize, usize),
    Transmit(usize, bool),
    Arrive(usize),
    /// The connection drops: what was under way to each end is lost from some point on.
    Cut(usize, usize),
    Connect,
    Enter(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2usize, 1..20usize).prop_map(|(e, b)| Step::Push(e, b)),
        6 => (0..2usize, any::<bool>()).prop_map(|(e, q)| Step::Transmit(e, q)),
        6 => (0..2usize).prop_map(Step::Arrive),
        1 => (0..6usize, 0..6usize).prop_map(|(a, b)| Step::Cut(a, b)),
        2 => Just(Step::Connect),
        1 => (0..2usize).prop_map(Step::Enter),
    ]
}

impl World {
    fn new() -> Self {
        let end = || End { link: Link::new(era(1), LIMIT), given: 0, delivered: Vec::new(), inbox: VecDeque::new() };
        Self { ends: [end(), end()], connected: false }
    }

    fn transmit(&mut self, e: usize, quiet: bool) -> bool {
        let at = self.ends[e].link.era();
        let Some(message) = self.ends[e].link.transmit(quiet) else { return false };
        self.ends[1 - e].inbox.push_back((at, message));
        true
    }

    fn arrive(&mut self, e: usize) -> bool {
        let end = &mut self.ends[e];
        let Some((at, message)) = end.inbox.pop_front() else { return false };
        let before = end.link.era();
        if let Received::Deliver(item) = end.link.receive(at, message, 5).expect("an honest peer is never wrong") {
            assert_eq!(at, before, "L4, L5: only items of this end's era are delivered");
            assert_eq!(item, end.delivered.len() as u64, "L1: in order, once each");
            end.delivered.push(item);
        }
        true
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Push(e, bytes) => {
                let end = &mut self.ends[e];
                if end.link.room() {
                    end.link.push(end.given, bytes);
                    end.given += 1;
                }
                assert!(end.link.kept() < LIMIT + 20, "L3");
            }
            Step::Transmit(e, quiet) => {
                self.transmit(e, quiet);
            }
            Step::Arrive(e) => {
                self.arrive(e);
            }
            Step::Cut(a, b) => self.cut([a, b]),
            Step::Connect => self.connect(),
            Step::Enter(e) => {
                let end = &mut self.ends[e];
                let next = era(end.link.era() + 1);
                assert!(end.link.enter(next));
                (end.given, end.delivered) = (0, Vec::new());
            }
        }
        for e in 0..2 {
            if self.ends[0].link.era() == self.ends[1].link.era() {
                assert!(self.ends[e].delivered.len() as u64 <= self.ends[1 - e].given, "L1: a prefix");
            }
        }
    }

    fn cut(&mut self, arrive: [usize; 2]) {
        for (e, n) in arrive.into_iter().enumerate() {
            for _ in 0..n {
                self.arrive(e);
            }
            self.ends[e].inbox.clear();
            self.ends[e].link.disconnected();
        }
        self.connected = false;
    }

    fn connect(&mut self) {
        if !self.connected {
            self.connected = true;
            self.ends.iter_mut().for_each(|e| e.link.connected());
        }
    }

    /// No more cuts, one era: everything arrives, and the buffers run empty.
    fn settle(&mut self) {
        let newest = self.ends.iter().map(|e| e.link.era()).max().unwrap();
        for end in &mut self.ends {
            if end.link.enter(newest) {
                (end.given, end.delivered) = (0, Vec::new());
            }
        }
        self.connect();
        for _ in 0..10_000 {
            let worked: Vec<bool> = (0..2).flat_map(|e| [self.transmit(e, true), self.arrive(e)]).collect();
            if !worked.contains(&true) {
                break;
            }
        }
        for e in 0..2 {
            assert_eq!(self.ends[e].delivered.len() as u64, self.ends[1 - e].given, "L7");
            assert_eq!(self.ends[e].link.kept(), 0, "L2: acknowledged, so gone");
            assert!(!self.ends[e].link.has_to_say());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn exactly_once_and_in_order_whatever_the_network_does(steps in prop::collection::vec(step(), 0..160)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
        }
        world.settle();
    }
}

fn connected(generation: u64) -> Link<u64, u64> {
    let mut link = Link::new(era(generation), LIMIT);
    link.connected();
    assert_eq!(link.transmit(false), Some(Message::Resume(0)));
    assert_eq!(link.receive(era(generation), Message::Resume(0), 0), Ok(Received::Nothing));
    link
}

#[test]
fn what_was_not_acknowledged_goes_out_again_on_the_next_connection() {
    let mut link = connected(1);
    for i in 0..3 {
        link.push(i, 1);
        assert_eq!(link.transmit(false), Some(Message::Item(i, i)));
    }
    assert_eq!(link.receive(era(1), Message::Ack(1), 0), Ok(Received::Nothing));
    link.disconnected();
    link.push(3, 1);
    assert_eq!(link.transmit(true), None);
    link.connected();
    assert_eq!(link.transmit(false), Some(Message::Resume(0)));
    assert_eq!(link.transmit(true), None, "not before it is known what the peer has");
    assert!(!link.has_to_say());
    assert_eq!(link.receive(era(1), Message::Resume(2), 0), Ok(Received::Nothing));
    assert_eq!(link.transmit(false), Some(Message::Item(2, 2)));
    assert_eq!(link.transmit(false), Some(Message::Item(3, 3)));
    assert_eq!(link.transmit(true), None);
}

#[test]
fn an_older_era_is_refused_once_a_connection_and_in_words() {
    let mut link = connected(2);
    for _ in 0..2 {
        assert_eq!(link.receive(era(1), Message::Item(0, 7), 1), Ok(Received::Nothing));
    }
    let said = link.transmit(true);
    assert!(matches!(&said, Some(Message::Refuse(why)) if why.contains("2 has begun")), "{said:?}");
    assert_eq!(link.transmit(true), None);
}

#[test]
fn a_refusal_reaches_the_owner_only_from_a_newer_era() {
    let mut link = connected(2);
    let refuse = || Message::Refuse("over".into());
    assert_eq!(link.receive(era(1), refuse(), 0), Ok(Received::Nothing));
    assert_eq!(link.receive(era(3), refuse(), 0), Ok(Received::Refused(era(3), "over".into())));
}

#[test]
fn items_of_a_newer_era_wait_until_this_end_gets_there() {
    let mut link = connected(1);
    assert_eq!(link.receive(era(2), Message::Item(0, 7), 1), Ok(Received::Behind(era(2))));
    assert_eq!(link.receive(era(2), Message::Item(1, 8), 1), Ok(Received::Nothing));
    assert!(link.enter(era(2)));
    // Item 2 may overtake the question: the answer to it brings 0.
    assert_eq!(link.receive(era(2), Message::Item(2, 9), 1), Ok(Received::Nothing));
    assert_eq!(link.transmit(true), Some(Message::Resume(0)));
    assert_eq!(link.receive(era(2), Message::Item(0, 7), 1), Ok(Received::Deliver(7)));
}

#[test]
fn an_older_era_is_not_entered() {
    let mut link = connected(2);
    link.push(1, 1);
    assert!(!link.enter(era(2)) && !link.enter(era(1)));
    assert_eq!(link.kept(), 1);
}

#[test]
fn a_peer_that_is_not_what_it_was_is_wrong() {
    let mut link = connected(1);
    assert!(link.receive(era(1), Message::Ack(1), 0).unwrap_err().0.contains("only 0 were ever given"));
    link.push(0, 1);
    link.transmit(true);
    link.receive(era(1), Message::Ack(1), 0).unwrap();
    assert!(link.receive(era(1), Message::Resume(0), 0).unwrap_err().0.contains("has acknowledged everything before 1"));
}

#[test]
fn much_is_acknowledged_before_it_is_quiet() {
    let mut link = connected(1);
    link.receive(era(1), Message::Item(0, 0), OWED).unwrap();
    assert_eq!(link.transmit(false), Some(Message::Ack(1)));
    link.receive(era(1), Message::Item(1, 1), 1).unwrap();
    assert_eq!(link.transmit(false), None);
    assert_eq!(link.transmit(true), Some(Message::Ack(2)));
}
