//! A slot that dies at any moment of a cut, before and after the manifest that carries it; the survivors go back by what they remember.
//!
//! Whole slots of the production, with their tables, files and sinks, and its coordinator: [`crate::world::Small`]. Every order of what is
//! under way between them is tried. At every step somebody may die, one slot or the other or none (then only the run is over), with a put
//! on its way that happens or does not. What follows takes its straight course: the next run begins from the log with whoever is left,
//! survivors with their tables, and must come to its end with the oracle's answer.
//!
//! Laws: a group is active in one slot at most (I1), every row takes effect once (I2), a manifest names what is there (I5), what was given
//! away stays until a manifest carries the cut (I2, I11), and every run comes to its end (I12).

use watershed_runtime::protocol::rules::{RuleSet, Rules};

use super::replay::{Game, Played, Replay};
use crate::world::plan::Plan;
use crate::world::{Opening, Small, Turn, small_plan};

/// Two slots and one cut.
pub type RecoverModel = Replay<Rescue>;

/// The initial state of a recovery, and the rules.
#[derive(Clone, Debug)]
pub struct Rescue {
    plan: Plan,
    set: RuleSet,
    from: Opening,
    /// Rows that are read, and barriers that come due, at any step.
    rows: usize,
    epochs: u64,
}

impl RecoverModel {
    /// From a batch that is about to be cut: so many rows are read, and so many barriers come due, at any step.
    #[must_use]
    pub fn cut(rows: usize, epochs: u64, rules: Rules) -> Self {
        Self(Rescue { plan: small_plan(), set: RuleSet::new(rules), from: Opening::Cut, rows, epochs })
    }

    /// From a batch that is about to be warmed up.
    #[must_use]
    pub fn warm(rules: Rules) -> Self {
        Self(Rescue { plan: small_plan(), set: RuleSet::new(rules), from: Opening::Warm, rows: 0, epochs: 0 })
    }
}

impl Game for Rescue {
    type World = Small;

    fn begin(&self) -> Small {
        Small::new(&self.plan, self.set, self.from, self.rows, self.epochs)
    }
}

impl Played for Small {
    type Step = Turn;

    fn take(&mut self, step: Turn) {
        self.turn(step);
    }

    fn next(&mut self) -> Vec<Turn> {
        self.turns()
    }

    fn look(&self) -> u64 {
        Self::look(self)
    }

    fn broken(&self) -> Option<String> {
        Self::broken(self)
    }

    fn end(&self, step: Turn) -> Option<u64> {
        Self::end(self, step)
    }
}
