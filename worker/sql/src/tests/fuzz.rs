//! No text makes the planner fail in a way that is ours: whatever is thrown at it is planned or refused with a place.

use proptest::prelude::*;

use crate::fuzz::check;

/// Pieces of which texts are made: enough grammar to get past the parser often.
const WORDS: [&str; 60] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "INSERT INTO",
    "c",
    "o",
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
    check(text).map_err(TestCaseError::fail)
}

/// The seeds of the fuzz target of this name, in the order of their names.
fn seeds() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/sql");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|p| std::fs::read_to_string(p).unwrap()).collect()
}

#[test]
fn the_seeds_are_sound_and_most_of_them_are_jobs() {
    let seeds = seeds();
    for seed in &seeds {
        check(seed).unwrap();
    }
    let jobs = seeds.iter().filter(|s| crate::compile(s, &super::Fake).is_ok()).count();
    assert!(seeds.len() >= 10 && jobs * 2 > seeds.len(), "{jobs} of {}", seeds.len());
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
        sound(&format!("INSERT INTO c SELECT word, {} FROM words GROUP BY word", words.join(" ")))?;
        sound(&format!("INSERT INTO o SELECT word, n FROM words WHERE {}", words.join(" ")))?;
    }

    #[test]
    fn any_characters_are_refused(text in ".{0,60}") {
        sound(&text)?;
    }

    /// A seed with a stretch of it gone, moved or put in twice.
    #[test]
    fn a_mangled_job_is_planned_or_refused(
        seed: prop::sample::Index, from: prop::sample::Index, length in 0..12usize, to: prop::sample::Index, how in 0..3u8,
    ) {
        let seeds = seeds();
        let mut pieces: Vec<&str> = seeds[seed.index(seeds.len())].split_inclusive([' ', '\n', '(', ',']).collect();
        let at = from.index(pieces.len());
        let cut: Vec<&str> = pieces[at..(at + length).min(pieces.len())].to_vec();
        if how < 2 {
            pieces.drain(at..at + cut.len());
        }
        if how > 0 {
            let to = to.index(pieces.len() + 1);
            pieces.splice(to..to, cut);
        }
        sound(&pieces.concat())?;
    }
}
