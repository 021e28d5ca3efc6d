//! A model whose world cannot be compared or copied, as the production's own coordinators and slots cannot: a state is the steps that lead
//! to it, and two states are the same if what they look like is.
//!
//! All states are visited, those with the shortest ways first. A step after which nothing is chosen any more is tried once for all states
//! from which it leads to the same end.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;
use std::time::Instant;

use super::run::Outcome;

/// A world under way.
pub trait Played {
    /// A step that may be taken.
    type Step: Copy + Debug + PartialEq + Send + Sync;
    /// Takes a step.
    fn take(&mut self, step: Self::Step);
    /// All that can happen next.
    fn next(&mut self) -> Vec<Self::Step>;
    /// The same number for worlds that will go on alike.
    fn look(&self) -> u64;
    /// The law that is broken, if one is.
    fn broken(&self) -> Option<String>;
    /// For a step that is the last: the same number for states in which it comes to the same end.
    fn end(&self, _: Self::Step) -> Option<u64> {
        None
    }
}

/// A kind of world, and how one begins.
pub trait Game: Clone + Debug + Send + Sync + 'static {
    /// The world.
    type World: Played;
    /// A new world.
    fn begin(&self) -> Self::World;
}

/// The step of a game's world.
type Step<G> = <<G as Game>::World as Played>::Step;

/// The model of a game.
#[derive(Clone, Debug)]
pub struct Replay<G>(pub G);

impl<G: Game> Replay<G> {
    fn at(&self, steps: &[Step<G>]) -> G::World {
        let mut world = self.0.begin();
        steps.iter().for_each(|step| world.take(*step));
        world
    }

    /// Visits all states, up to `limit` of them, and ends with the first that breaks a law.
    #[must_use]
    pub fn check(&self, limit: usize) -> Outcome {
        let start = Instant::now();
        let (mut seen, mut ends) = (BTreeSet::new(), BTreeSet::new());
        let mut queue = VecDeque::from([Vec::new()]);
        let (mut states, mut failed) = (0, None);
        while let Some(steps) = queue.pop_front().filter(|_| states < limit) {
            let mut world = self.at(&steps);
            let mut next = world.next();
            if let Some(law) = world.broken() {
                failed = Some((law, steps.iter().map(|step| format!("{step:?}")).collect()));
                break;
            }
            if !seen.insert(world.look()) {
                continue;
            }
            states += 1;
            next.retain(|step| world.end(*step).is_none_or(|end| ends.insert(end)));
            queue.extend(next.into_iter().map(|step| steps.iter().copied().chain([step]).collect()));
        }
        let complete = failed.is_none() && queue.is_empty();
        Outcome { states, complete, failed, seconds: start.elapsed().as_secs_f32() }
    }
}
