//! Checks one model and says what came out.

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Path};

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Different states seen.
    pub states: usize,
    /// The law that failed and the shortest way there; `None` if every state was fine.
    pub failed: Option<(String, Vec<String>)>,
    /// True if all states were seen: neither a limit nor a failure ended the run.
    pub complete: bool,
    /// Seconds.
    pub seconds: f32,
}

/// A model whose states carry the law they break, if any.
pub trait Checked: Model + Send + Sync + 'static {
    /// The law that `state` breaks, or what is stuck in it.
    fn broken(&self, state: &Self::State) -> Option<String>;
}

/// Breadth first, so that a counterexample is a shortest one; depth first with `deep`, which needs far less memory.
pub fn check<M>(model: M, limit: usize, deep: bool) -> Outcome
where
    M: Checked + Clone,
    M::State: Clone + std::fmt::Debug + std::hash::Hash + PartialEq + Send + Sync,
    M::Action: Clone + std::fmt::Debug + PartialEq + Send + Sync,
{
    let start = Instant::now();
    let builder = model.clone().checker().finish_when(HasDiscoveries::AnyFailures).target_state_count(limit).threads(1);
    let (states, generated, path) = if deep { finish(builder.spawn_dfs()) } else { finish(builder.spawn_bfs()) };
    let failed = path.map(|path| {
        let law = model.broken(path.last_state()).unwrap_or_default();
        (law, path.into_actions().iter().map(|a| format!("{a:?}")).collect())
    });
    Outcome { states, complete: failed.is_none() && generated < limit, failed, seconds: start.elapsed().as_secs_f32() }
}

#[allow(clippy::type_complexity, reason = "numbers and a path, taken apart at once by the one caller")]
fn finish<M>(checker: impl Checker<M>) -> (usize, usize, Option<Path<M::State, M::Action>>)
where
    M: Model,
    M::State: std::fmt::Debug + std::hash::Hash + Clone + PartialEq,
    M::Action: std::fmt::Debug + Clone + PartialEq,
{
    let done = checker.join();
    (done.unique_state_count(), done.state_count(), done.discoveries().into_values().next())
}
