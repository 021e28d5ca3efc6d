//! A seeded world that runs whole Watershed jobs in one thread under crashes, delays and lying storage.

#[cfg(feature = "mutants")]
pub mod campaign;
pub mod cost;
pub mod jobs;
#[cfg(feature = "mutants")]
pub mod model;
pub mod world;
