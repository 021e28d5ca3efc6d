//! Keys and values of a state table.
//!
//! The hash that rows carry covers the key of the stream, not what an operator adds to it (the start of a window, the number of
//! a row in a join). [`StateKey::sub`] is that rest; the index takes its hash from both, so that a million windows of one
//! key do not end up in one chain.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A key of a table: the stream's key and what the operator adds to it.
pub trait StateKey: Clone + Eq + Send + Debug + Serialize + DeserializeOwned + 'static {
    /// The part of the key that the carried hash does not cover, as 64 bits. Equal keys must give equal bits.
    fn sub(&self) -> u64 {
        0
    }
}

/// A value of a table. Every type with these bounds is one.
pub trait StateValue: Clone + Send + Debug + Serialize + DeserializeOwned + 'static {}
impl<T: Clone + Send + Debug + Serialize + DeserializeOwned + 'static> StateValue for T {}

/// The stream's key and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plain<K>(pub K);

impl<K: Clone + Eq + Send + Debug + Serialize + DeserializeOwned + 'static> StateKey for Plain<K> {}

/// A key and the start of a window, or whatever else one `i64` can name: a row number, a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Windowed<K> {
    /// The start of the window.
    pub start: i64,
    /// The stream's key.
    pub key: K,
}

impl<K: Clone + Eq + Send + Debug + Serialize + DeserializeOwned + 'static> StateKey for Windowed<K> {
    #[inline]
    fn sub(&self) -> u64 {
        self.start as u64
    }
}
