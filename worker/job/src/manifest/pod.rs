//! Kubernetes settings of a worker's pod; none of them acts when a job is run locally.
//!
//! Only what Watershed itself looks at is typed. The rest of a pod is Kubernetes' own language: it passes through `podTemplate` and
//! is judged by the API server, whose version we do not know.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// A reference to an object of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    /// The name.
    pub name: String,
}

/// An environment variable, as in a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.value) && has(self.valueFrom))", "message": "both value and valueFrom are given: keep one of them"}
]))]
pub struct EnvVar {
    /// The name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The source of the value instead, as in a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub value_from: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Resources of its node that a worker may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// The amounts that a worker is promised.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, IntOrString>,
    /// The amounts that a worker may not exceed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, IntOrString>,
}

/// A number, or text such as `500m`, `2Gi`, `25%`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = IntOrString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a quantity in quotes")
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<IntOrString, E> {
                Ok(IntOrString::Int(n))
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<IntOrString, E> {
                i64::try_from(n).map(IntOrString::Int).map_err(|_| E::custom(format!("{n} is out of range")))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for IntOrString {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IntOrString".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}] })
    }
}

/// The number of workers that may be down by intent (a drained node).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodDisruptionBudget {
    /// A number of workers or a percentage.
    pub max_unavailable: IntOrString,
}

impl Default for PodDisruptionBudget {
    fn default() -> Self {
        Self { max_unavailable: IntOrString::Int(1) }
    }
}

/// The network policy for the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicy {
    /// Managed or none.
    pub mode: NetworkPolicyMode,
}

/// The keeper of the network policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkPolicyMode {
    /// The operator keeps one that lets in only the job's own pods, the operator and metrics.
    #[default]
    Managed,
    /// No network policy is kept.
    None,
}

/// Certificates between the pods of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// The Secret that holds `tls.crt`, `tls.key` and `ca.crt`; the kubelet mounts it.
    #[schemars(length(min = 1))]
    pub secret_name: String,
}
