//! Plain scalars, with exactly the meaning that they have to `kubectl`.
//!
//! `kubectl apply` reads manifests with YAML 1.1 rules: `yes` and `on` are booleans, `0644` is octal. Reading them otherwise here
//! would make one manifest mean two things, so the same words get the same meaning. Where that meaning does not fit the field, the
//! error quotes the word as it was written.

/// A scalar, resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

/// Resolves a plain (unquoted, untagged) scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => return Scalar::Bool(false),
        _ => {}
    }
    if let Some(value) = integer(text) {
        return Scalar::Int(value);
    }
    if looks_like_a_float(text)
        && let Ok(value) = text.parse::<f64>()
        && value.is_finite()
    {
        return Scalar::Float(value);
    }
    Scalar::Text
}

/// An integer with an optional sign and the prefixes `0x`, `0b`, `0o` or a leading zero for octal; `_` may group digits.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('_') {
        return None;
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    let (radix, digits) = if let Some(hex) = digits.strip_prefix("0x") {
        (16, hex)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        (2, binary)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        (8, octal)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, digits.get(1..)?)
    } else {
        (10, digits.as_str())
    };
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// Digits with a point or an exponent: keeps words such as `infinity` and `nan`, which Rust would parse, texts.
fn looks_like_a_float(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_mean_to_kubectl() {
        for (text, scalar) in [
            ("~", Scalar::Null),
            ("yes", Scalar::Bool(true)),
            ("Off", Scalar::Bool(false)),
            ("yEs", Scalar::Text),
            ("12", Scalar::Int(12)),
            ("-12", Scalar::Int(-12)),
            ("1_000", Scalar::Int(1000)),
            ("0644", Scalar::Int(420)),
            ("0x1F", Scalar::Int(31)),
            ("-9223372036854775808", Scalar::Int(i64::MIN)),
            ("9223372036854775808", Scalar::Float(9_223_372_036_854_775_808.0)),
            ("0999", Scalar::Float(999.0)),
            ("1.5", Scalar::Float(1.5)),
            (".5e3", Scalar::Float(500.0)),
            ("1.2.3", Scalar::Text),
            ("infinity", Scalar::Text),
            ("-", Scalar::Text),
            ("250m", Scalar::Text),
            ("1e999", Scalar::Text),
        ] {
            assert_eq!(resolve(text), scalar, "{text}");
        }
    }
}
