//! Models for the checker (Stateright): every interleaving of a small world, with the production's own step functions inside.
//!
//! [`cut`] is the cut-over: upstreams, slots with one or two keyed stages, consumers, several batches, barriers, manifests, late
//! `Published`, crashes. [`log`] is the manifest log with two coordinators and a store that answers ambiguously. [`adopt`] is a
//! coordinator that dies and one that takes its slots over, and slots that are let go ([`crew`] is its world). [`recover`] is a slot that
//! dies at any moment of a cut, and survivors that go back. [`run`] checks a model and tells how many states it took, [`replay`] makes
//! models of worlds that cannot be copied; [`table`] is the list of runs behind `docs/mutants.md`.
//!
//! Models check the roles' decisions and the order in which a slot obeys them; encoding, files and sinks are the
//! simulator's, and those of [`recover`], which has whole slots in it. A model takes each transition by calling the same functions as a
//! slot does, so a change of a role is checked by the next test run, not by the next reader.

#![expect(
    clippy::indexing_slicing,
    reason = "a model is a test: an index out of range is a defect of the model and must stop the run"
)]

pub mod adopt;
pub mod crew;
pub mod cut;
pub mod log;
pub mod recover;
pub mod replay;
pub mod run;
pub mod table;
