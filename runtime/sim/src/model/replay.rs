//! A model whose world cannot be compared or copied, as the production's own coordinators and slots cannot: a state is the steps that lead to
//! it, and two states are the same if what they look like is.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};

use stateright::{Model, Property};

use super::run::Checked;

/// A world under way.
pub trait Played {
    /// What may happen.
    type Step: Copy + Debug + PartialEq + Send + Sync;
    /// Something happens.
    fn take(&mut self, step: Self::Step);
    /// All that can happen next.
    fn next(&mut self) -> Vec<Self::Step>;
    /// The same number for worlds that will go on alike.
    fn look(&self) -> u64;
    /// The law that is broken, if one is.
    fn broken(&self) -> Option<String>;
}

/// How a world begins.
pub trait Game: Clone + Debug + Send + Sync + 'static {
    /// It.
    type World: Played;
    /// Anew.
    fn begin(&self) -> Self::World;
}

/// The step of a game's world.
type Step<G> = <<G as Game>::World as Played>::Step;

/// The model of a game.
#[derive(Clone, Debug)]
pub struct Replay<G>(pub G);

/// A state: how it came about, and what it looks like.
#[derive(Clone, Debug)]
pub struct State<S> {
    steps: Vec<S>,
    look: u64,
    next: Vec<S>,
    broken: Option<String>,
}

impl<S> Hash for State<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.look.hash(state);
    }
}

impl<S> PartialEq for State<S> {
    fn eq(&self, other: &Self) -> bool {
        self.look == other.look
    }
}

impl<G: Game> Replay<G> {
    fn at(&self, steps: Vec<Step<G>>) -> State<Step<G>> {
        let mut world = self.0.begin();
        for step in &steps {
            world.take(*step);
        }
        let next = world.next();
        let broken = world.broken();
        let next = if broken.is_some() { Vec::new() } else { next };
        State { steps, look: world.look(), next, broken }
    }
}

impl<G: Game> Model for Replay<G> {
    type State = State<Step<G>>;
    type Action = Step<G>;

    fn init_states(&self) -> Vec<Self::State> {
        vec![self.at(Vec::new())]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Step<G>>) {
        actions.extend(&state.next);
    }

    fn next_state(&self, state: &Self::State, step: Step<G>) -> Option<Self::State> {
        let mut steps = state.steps.clone();
        steps.push(step);
        Some(self.at(steps))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every law holds", |_: &Self, s: &Self::State| s.broken.is_none())]
    }
}

impl<G: Game> Checked for Replay<G> {
    fn broken(&self, state: &Self::State) -> Option<String> {
        state.broken.clone()
    }
}
