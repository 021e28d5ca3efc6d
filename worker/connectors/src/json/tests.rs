//! The fast path against `serde_json`.

use proptest::prelude::*;
use serde::Deserialize;
use watershed_runtime::container::Rows;

use super::{JsonLines, fuzz};
use crate::format::{Decoded, LineDecoder, LineFormat};

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Word {
    word: String,
}

fn decoder() -> Box<dyn LineDecoder> {
    JsonLines::<Word>::new().decoder()
}

fn words(decoder: &mut dyn LineDecoder) -> Vec<String> {
    Rows::<Word>::downcast(decoder.take().unwrap()).unwrap().rows.into_iter().map(|w| w.word).collect()
}

#[test]
fn lines_become_rows_and_blank_lines_do_not() {
    let mut d = decoder();
    let text = "{\"word\":\"a\"}\n\n \r\n{ \"word\" : \"b\\u00e9\" }\r\n{\"x\":[1,{\"y\":null}],\"word\":\"c\"}";
    assert_eq!(d.decode(text, 100), Decoded { consumed: text.len(), malformed: None });
    assert_eq!(words(d.as_mut()), ["a", "bé", "c"]);
}

#[test]
fn decoding_stops_at_the_wanted_number_of_rows() {
    let mut d = decoder();
    let text = "{\"word\":\"a\"}\n{\"word\":\"b\"}\n{\"word\":\"c\"}\n";
    let first = d.decode(text, 2);
    assert_eq!(words(d.as_mut()), ["a", "b"]);
    d.decode(&text[first.consumed..], 2);
    assert_eq!(words(d.as_mut()), ["c"]);
}

#[test]
fn a_malformed_row_stops_after_the_rows_before_it() {
    for bad in ["{\"word\":1}", "{\"word\":\"a\"", "[]x", "{\"word\":\"a\"} {", "nonsense", "{\"word\":\n\"a\"}"] {
        let mut d = decoder();
        let text = format!("{{\"word\":\"a\"}}\n{bad}\n{{\"word\":\"b\"}}\n");
        let got = d.decode(&text, 100);
        assert_eq!(got.consumed, 13, "{bad}");
        assert!(got.malformed.is_some(), "{bad}");
        assert_eq!(words(d.as_mut()), ["a"]);
    }
}

#[test]
fn the_reason_names_the_character() {
    let mut d = decoder();
    let reason = d.decode("{\"word\":17}", 1).malformed.unwrap();
    assert_eq!(reason, "invalid type: integer `17`, expected a string at character 10");
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        "-?[0-9]{1,22}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,4})?",
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
        "\"(\\\\[\"\\\\/bfnrtux]|\\\\u[0-9a-fdD]{4}|[a-z\u{e9}\u{1F600}\t]){0,12}\"",
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d"), Just("e"), Just("A"), Just("B")];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(|v| format!("[{}]", v.join(" ,"))),
            proptest::collection::vec((name, inner), 0..5)
                .prop_map(|v| format!("{{ {} }}", v.iter().map(|(k, v)| format!("\"{k}\" :{v}")).collect::<Vec<_>>().join(", "))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_fast_path_reads_what_serde_json_reads(text in json()) {
        prop_assert_eq!(fuzz::check(text.as_bytes()), Ok(()));
    }

    #[test]
    fn the_fast_path_survives_damage(text in json(), at: prop::sample::Index, byte: u8) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert_eq!(fuzz::check(&bytes), Ok(()));
        bytes.truncate(at);
        prop_assert_eq!(fuzz::check(&bytes), Ok(()));
    }
}

/// A fast path that refuses everything would pass the laws above: it must also be taken.
#[test]
fn common_rows_take_the_fast_path() {
    use super::de::Values;
    use super::scan::Cursor;
    for line in ["{\"word\": \"abcdefg\"}", "{\"x\":-1.5e3,\"word\":\"a\\nb\"}", "{\"n\":{\"m\":[1,2,[]]},\"word\":\"\"}"] {
        let mut cursor = Cursor::new(line);
        assert!(Word::deserialize(Values::new(&mut cursor)).is_ok(), "{line}");
        assert!(cursor.end_line().is_ok(), "{line}");
    }
}
