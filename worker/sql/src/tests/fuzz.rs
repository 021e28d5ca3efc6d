//! No text makes the planner fail in a way that is ours: whatever is thrown at it is planned or refused with a place.

use proptest::prelude::*;
use watershed_runtime::error::Kind;

use super::job;

/// Pieces of which texts are made: enough grammar to get past the parser often.
const WORDS: [&str; 60] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "INSERT INTO",
    "counts",
    "appended",
    "words",
    "clicks",
    "word",
    "n",
    "`key`",
    "at",
    "ts",
    "COUNT(*)",
    "SUM(n)",
    "MIN(word)",
    "AVG(",
    "MAX(",
    "(",
    ")",
    ",",
    ";",
    "+",
    "-",
    "*",
    "/",
    "=",
    "<",
    "AND",
    "OR",
    "NOT",
    "NULL",
    "IS",
    "1",
    "'a'",
    "2.5",
    "CASE WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST(",
    "AS",
    "INT",
    "STRING",
    "TIMESTAMP(3)",
    "INTERVAL '1' SECOND",
    "TABLE(TUMBLE(TABLE clicks,",
    "DESCRIPTOR(at),",
    "window_start",
    "UNION ALL",
    "IN",
    "BETWEEN",
    "LIKE",
    "CREATE VIEW v AS",
    "UPPER(",
    "CONCAT(",
    "||",
    "$x",
];

fn sound(text: &str) -> Result<(), TestCaseError> {
    if let Err(e) = job(text) {
        prop_assert!(e.kind() != Kind::Broken, "{e} for {text}");
        prop_assert!(e.advice().is_some(), "{e} says nothing to do, for {text}");
        prop_assert!(e.to_string().contains("line "), "{e} has no place, for {text}");
    }
    Ok(())
}

/// Few by default, because planning is slow without optimisation; `PROPTEST_CASES` asks for more.
fn cases() -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    if given { ProptestConfig::default() } else { ProptestConfig::with_cases(64) }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_words_are_planned_or_refused(words in prop::collection::vec(prop::sample::select(WORDS.as_slice()), 0..25)) {
        sound(&words.join(" "))?;
    }

    #[test]
    fn any_expression_is_planned_or_refused(words in prop::collection::vec(prop::sample::select(WORDS.as_slice()), 1..8)) {
        sound(&format!("INSERT INTO counts SELECT word, {} FROM words GROUP BY word", words.join(" ")))?;
        sound(&format!("INSERT INTO appended SELECT word, n FROM words WHERE {}", words.join(" ")))?;
    }

    #[test]
    fn any_characters_are_refused(text in ".{0,60}") {
        sound(&text)?;
    }
}
