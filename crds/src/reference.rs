//! The reference page of the manual, made from the definitions: a table of fields an object, with types, defaults, limits and rules.

use std::fmt::Write;

use serde_json::Value;

/// The text of the reference page.
#[must_use]
pub fn page() -> String {
    let mut out = String::from(
        "# Reference: StreamJob and StreamSnapshot\n\nMade from the types by `cargo run -p watershed-crds`. The same texts are in \
         `kubectl explain streamjob.spec --recursive`.\n",
    );
    for definition in [crate::stream_job(), crate::stream_snapshot()] {
        let kind = definition.pointer("/spec/names/kind").and_then(Value::as_str).unwrap_or_default();
        let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema");
        let properties = schema.and_then(|s| s.get("properties"));
        for part in ["spec", "status"] {
            if let Some(schema) = properties.and_then(|p| p.get(part)) {
                object(&format!("{kind}: {part}"), part, schema, &mut out);
            }
        }
        for rule in rules(schema.unwrap_or(&Value::Null)) {
            line(&mut out, &format!("\nRule of the whole object: {rule}."));
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    // A write into a String cannot fail.
    let _written = writeln!(out, "{text}");
}

fn rules(schema: &Value) -> Vec<String> {
    let all = schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|r| r.get("message").and_then(Value::as_str)).map(str::to_owned).collect()
}

/// Writes an object: a heading, a table, and the objects within.
fn object(title: &str, path: &str, schema: &Value, out: &mut String) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    line(out, &format!("\n## {title}\n"));
    line(out, "| field | type | default | |\n|---|---|---|---|");
    let mut within = Vec::new();
    for (name, field) in properties {
        let text = |key: &str| field.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut notes = cell(text("description"));
        if let Some(limits) = limits(field) {
            notes.push_str(&format!(" {limits}."));
        }
        for rule in rules(field) {
            notes.push_str(&format!(" Rule: {}.", cell(&rule)));
        }
        let default = field.get("default").filter(|d| !d.is_object()).map(|d| format!("`{d}`")).unwrap_or_default();
        line(out, &format!("| `{name}` | {} | {default} | {notes} |", kind(field)));
        within.push((format!("{path}.{name}"), field.get("items").unwrap_or(field)));
    }
    let rules = rules(schema);
    if !rules.is_empty() {
        line(out, "\nRules:\n");
        rules.iter().for_each(|r| line(out, &format!("- {r}")));
    }
    for (path, field) in within {
        object(&format!("`{path}`"), &path, field, out);
    }
}

fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn kind(field: &Value) -> String {
    if field.get("x-kubernetes-int-or-string").is_some() {
        return "integer or string".into();
    }
    match field.get("type").and_then(Value::as_str) {
        Some("array") => format!("list of {}", kind(field.get("items").unwrap_or(&Value::Null))),
        Some("object") if field.get("additionalProperties").is_some() => "map".into(),
        Some(name) => name.to_owned(),
        None => "any".into(),
    }
}

fn limits(field: &Value) -> Option<String> {
    let number = |key: &str| field.get(key).and_then(Value::as_i64);
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("At least {least}")),
        (None, Some(most)) => Some(format!("At most {most}")),
        (None, None) => number("maxLength").map(|most| format!("At most {most} characters")),
    }
}
