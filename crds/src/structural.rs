//! The *structural* schema that an API server takes, made from the schema that schemars makes of our types.
//!
//! Kubernetes wants one `type` a node and no references. Our types make few shapes, each with one rewriting:
//!
//! | schemars writes | here |
//! |---|---|
//! | `{"type": ["string", "null"]}`, `{"anyOf": [X, {"type": "null"}]}` | `X`: a field that is absent is absent |
//! | `{"oneOf": [{"const": "A", "description": …}, …]}` | `{"type": "string", "enum": ["A", …]}`, the descriptions joined |
//! | `x-kubernetes-int-or-string` with its `anyOf` | without it |
//! | `{"type": "object", "additionalProperties": true}` | `x-kubernetes-preserve-unknown-fields` |
//! | `$schema`, `title`, `default: null`, formats of numbers | nothing |

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The structural schema of a type.
#[must_use]
pub(crate) fn schema<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    rewrite(&mut schema);
    schema
}

fn rewrite(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        // The schema `true` takes any value.
        *schema = json!({ "x-kubernetes-preserve-unknown-fields": true });
        return;
    };
    for gone in ["$schema", "title", "$defs"] {
        fields.remove(gone);
    }
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    if fields.contains_key("x-kubernetes-int-or-string") {
        fields.remove("anyOf");
    }
    without_null(fields);
    variants(fields);
    if fields.get("format").and_then(Value::as_str).is_some_and(|f| f.starts_with("int") || f.starts_with("uint")) {
        // An integer of a schema has 64 bits anyway.
        fields.remove("format");
    }
    if fields.get("type") == Some(&json!("object")) && fields.get("additionalProperties") == Some(&Value::Bool(true)) {
        fields.remove("additionalProperties");
        fields.insert("x-kubernetes-preserve-unknown-fields".into(), Value::Bool(true));
    }
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(rewrite);
    }
    for nested in ["items", "additionalProperties"] {
        if let Some(nested) = fields.get_mut(nested) {
            rewrite(nested);
        }
    }
}

/// An `Option` is a field that may be absent; `null` is no value of its own.
fn without_null(fields: &mut Map<String, Value>) {
    if let Some(types) = fields.get_mut("type")
        && let Some(named) = types.as_array().and_then(|all| all.iter().find(|t| **t != json!("null")).cloned())
    {
        *types = named;
    }
    let Some(Value::Array(either)) = fields.get("anyOf").cloned() else { return };
    let mut some = either.into_iter().filter(|s| s.get("type") != Some(&json!("null")));
    if let (Some(Value::Object(inner)), None) = (some.next(), some.next()) {
        fields.remove("anyOf");
        for (name, value) in inner {
            // The field's own description says more than its type's.
            fields.entry(name).or_insert(value);
        }
        without_null(fields);
    }
}

/// An enum whose variants have descriptions.
fn variants(fields: &mut Map<String, Value>) {
    let Some(Value::Array(all)) = fields.get("oneOf").cloned() else { return };
    let mut names = Vec::new();
    let mut descriptions = String::new();
    for variant in &all {
        let described = variant.get("description").and_then(Value::as_str);
        let mut these: Vec<Value> = variant.get("const").cloned().into_iter().collect();
        these.extend(variant.get("enum").and_then(Value::as_array).into_iter().flatten().cloned());
        for name in these {
            if let (Some(name), Some(described)) = (name.as_str(), described) {
                descriptions.push_str(&format!(" `{name}`: {described}"));
            }
            names.push(name);
        }
    }
    fields.remove("oneOf");
    fields.insert("type".into(), json!("string"));
    fields.insert("enum".into(), Value::Array(names));
    let before = fields.get("description").and_then(Value::as_str).unwrap_or_default();
    let whole = format!("{before}{descriptions}");
    fields.insert("description".into(), Value::String(whole.trim().to_owned()));
}

/// Words of a schema that an API server refuses; none may be left.
#[must_use]
pub(crate) fn leftovers(schema: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Value::Object(fields) = schema else { return vec![format!("{path} is no object")] };
    for word in ["$ref", "oneOf", "anyOf", "allOf", "const", "$defs", "examples", "if"] {
        if fields.contains_key(word) {
            found.push(format!("{path}: {word}"));
        }
    }
    if fields.get("type").is_none_or(|t| !t.is_string())
        && !fields.contains_key("x-kubernetes-int-or-string")
        && !fields.contains_key("x-kubernetes-preserve-unknown-fields")
    {
        found.push(format!("{path}: no type"));
    }
    for (name, property) in fields.get("properties").and_then(Value::as_object).into_iter().flatten() {
        found.extend(leftovers(property, &format!("{path}.{name}")));
        if format!("{path}.{name}") != ".metadata" && property.get("description").is_none_or(|d| !d.is_string()) {
            found.push(format!("{path}.{name}: no description"));
        }
    }
    for nested in ["items", "additionalProperties"] {
        if let Some(nested) = fields.get(nested) {
            found.extend(leftovers(nested, &format!("{path}[]")));
        }
    }
    found
}
