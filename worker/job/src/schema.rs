//! The JSON schema of a manifest: what editors complete and check with, and where the reader looks up misplaced fields.
//!
//! Made from the same types that read the manifest, so it cannot fall behind them. Objects are closed here
//! (`additionalProperties: false`), as the reader is; the resource definition of Kubernetes opens them again by its own rules.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::manifest::StreamJob;

/// The JSON schema of a `StreamJob` manifest.
#[must_use]
pub fn schema() -> Value {
    let mut schema =
        schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<StreamJob>().to_value();
    close(&mut schema);
    schema
}

/// Closes every object that names its properties.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let named = fields.get("properties").is_some_and(Value::is_object)
                && fields.get("type").is_some_and(|t| *t == json!("object"));
            if named {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Field name → the paths of the objects that have it, the shortest first. A constant of the types, made when first a field is wrong.
pub(crate) fn places() -> &'static BTreeMap<String, Vec<String>> {
    static PLACES: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
        let mut settings = schemars::generate::SchemaSettings::draft2020_12();
        settings.inline_subschemas = true;
        let schema = settings.into_generator().into_root_schema_for::<StreamJob>().to_value();
        let mut places = BTreeMap::new();
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            walk("", properties, &mut places);
        }
        for paths in places.values_mut() {
            paths.sort_by_key(|p: &String| (p.matches('.').count(), p.clone()));
        }
        places
    });
    &PLACES
}

fn walk(parent: &str, properties: &Map<String, Value>, places: &mut BTreeMap<String, Vec<String>>) {
    for (name, schema) in properties {
        if !parent.is_empty() {
            places.entry(name.clone()).or_default().push(parent.to_owned());
        }
        let path = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
        let of_option = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        for nested in std::iter::once(schema).chain(of_option) {
            if let Some(properties) = nested.get("properties").and_then(Value::as_object) {
                walk(&path, properties, places);
            }
        }
    }
}
