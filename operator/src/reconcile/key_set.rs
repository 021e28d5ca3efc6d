//! The API server's published keys, in one order and without what changes: the same keys are the same text.

use serde_json::{Value, json};

/// A JSON Web Key Set in canonical form: the public keys that tokens are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeySet(String);

impl KeySet {
    /// A key set is parsed and its keys are sorted by their identifiers.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let set: Value = serde_json::from_str(text).map_err(|e| format!("the keys are no JSON: {e}"))?;
        let mut keys: Vec<Value> = set.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
        if keys.is_empty() {
            return Err("there is no key in what the API server publishes".into());
        }
        keys.sort_by_key(|k| k.get("kid").and_then(Value::as_str).unwrap_or_default().to_owned());
        Ok(Self(json!({ "keys": keys }).to_string()))
    }

    /// The key set as JSON text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
