//! A coordinator that dies at any step between two slots, one cut and some epochs, and a successor that takes the slots over; and slots
//! that are let go, against output that is not committed yet and against wishes that change. [`super::crew`] is their world and its laws.

use watershed_runtime::protocol::rules::{RuleSet, Rules};

pub use super::crew::Step;
use super::crew::{Setting, World};
use super::replay::{Game, Replay};

/// Two slots, so many epochs and so many deaths of a coordinator.
pub type AdoptModel = Replay<Crew>;

/// The initial state of a crew, and the rules.
#[derive(Clone, Debug)]
pub struct Crew {
    set: RuleSet,
    setting: Setting,
}

impl Game for Crew {
    type World = World;

    fn begin(&self) -> World {
        World::new(self.set, &self.setting)
    }
}

impl AdoptModel {
    /// Both slots take part, one has everything: half of it is to move. A barrier comes due `epochs` times at any step.
    #[must_use]
    pub fn new(epochs: u64, deaths: u8, rules: Rules) -> Self {
        let setting = Setting { there: 2, owners: 1, wishes: &[], sinks: false, epochs, deaths };
        Self(Crew { set: RuleSet::new(rules), setting })
    }

    /// Both slots have half of everything and stage output; one of them is wanted: the other gives away what it has, leaves, and is let
    /// go with its worker.
    #[must_use]
    pub fn release(epochs: u64, deaths: u8, rules: Rules) -> Self {
        let setting = Setting { there: 2, owners: 2, wishes: &[1], sinks: true, epochs, deaths };
        Self(Crew { set: RuleSet::new(rules), setting })
    }

    /// One slot is there; at any step two are wanted, and at any step after that only one again.
    #[must_use]
    pub fn there_and_back(epochs: u64, deaths: u8, rules: Rules) -> Self {
        let setting = Setting { there: 1, owners: 1, wishes: &[1, 2, 1], sinks: true, epochs, deaths };
        Self(Crew { set: RuleSet::new(rules), setting })
    }
}
