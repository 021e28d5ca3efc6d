//! JSON values as YAML that people can read: the generated definitions are reviewed like code.
//!
//! The writer knows only the types of JSON; long texts are one quoted line, since YAML reads every JSON string. Sixty lines need no
//! dependency.

use serde_json::Value;

/// The YAML text of a value.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn write(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (i, (name, field)) in fields.iter().enumerate() {
                if i > 0 {
                    indent(depth, out);
                }
                out.push_str(&scalar(name));
                out.push(':');
                nested(field, depth + 1, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    indent(depth, out);
                }
                out.push_str("- ");
                write(item, depth + 1, out);
                end(out);
            }
        }
        Value::String(text) => out.push_str(&scalar(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            out.push_str(&value.to_string());
        }
    }
}

/// Writes the value of a field, in its line or below it.
fn nested(value: &Value, depth: usize, out: &mut String) {
    let block = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if block {
        out.push('\n');
        indent(depth, out);
    } else {
        out.push(' ');
    }
    write(value, depth, out);
    end(out);
}

fn end(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// The YAML of a text: plain where YAML reads nothing else into it, quoted elsewhere.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '$');
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '$' | '.')) && text.chars().all(plain);
    let taken = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if word && !taken { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_read_into_a_text() {
        let value = json!({"a": "yes", "b": "1", "c": "a: b", "d": [{"x": 1, "k": []}, "z"], "e": {}, "f": "plain"});
        let expected = "a: \"yes\"\nb: \"1\"\nc: \"a: b\"\nd:\n  - k: []\n    x: 1\n  - z\ne: {}\nf: plain\n";
        assert_eq!(to_yaml(&value), expected);
    }
}
