//! Parts of the tests of whole jobs.

pub(crate) mod seeds;
