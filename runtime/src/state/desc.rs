//! The description of a state: its name and types; stored with every snapshot.
//!
//! A restored job that lost, renamed or retyped a state hears so by name ([`crate::protocol::restart`]). Defaults in its place would be
//! silent loss.

use serde::{Deserialize, Serialize};

/// Describes one state of one operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDesc {
    /// The name, unique within the operator.
    pub name: String,
    /// Raised by the operator's author when the meaning of the bytes changes.
    pub version: u32,
    /// The type name or schema of the key.
    pub key: String,
    /// The type name or schema of the value.
    pub value: String,
    /// Entries not written for so long (processing time) are gone.
    pub ttl_micros: Option<u64>,
}

impl StateDesc {
    /// A state of these types, version 1, without expiry.
    #[must_use]
    pub fn of<K, V>(name: &str) -> Self {
        let plain = |t: &str| t.replace("alloc::string::", "").replace("watershed_runtime::state::key::", "");
        let (key, value) = (plain(std::any::type_name::<K>()), plain(std::any::type_name::<V>()));
        Self { name: name.into(), version: 1, key, value, ttl_micros: None }
    }

    /// The same with an expiry.
    #[must_use]
    pub fn expiring(mut self, micros: u64) -> Self {
        self.ttl_micros = Some(micros.max(1));
        self
    }
}
