//! The texts of the benchmarks are planned here, so that they cannot rot where no test runs them.

use std::path::Path;

use crate::cell::Planned;
use crate::file::File;

/// The SQL text in a benchmark's source, its holes filled.
fn text(name: &str, holes: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../bench/src/bin/{name}.rs"));
    let source = std::fs::read_to_string(&path).unwrap();
    let from = source.find("format!(\n        \"").unwrap() + "format!(\n        \"".len();
    let mut text = source[from..].split_once("\",\n").unwrap().0.to_owned();
    for hole in holes {
        let (from, to) = (text.find('{').unwrap(), text.find('}').unwrap());
        text.replace_range(from..=to, hole);
    }
    assert!(!text.contains(['{', '}']), "{name} has other holes than this test fills: {text}");
    text.replace("'connector' = 'filesystem', 'path' = 'in'", "'connector' = 'rows', 'path' = 'in'")
        .replace("'connector' = 'filesystem', 'path' = 'out'", "'connector' = 'append', 'path' = 'out'")
}

fn plans(text: &str, step: &str) {
    let plan = match Planned::new(&File::default(), text, Path::new(".")) {
        Ok(planned) => planned.plan.explain(),
        Err(e) => panic!("{e}\n{text}"),
    };
    assert!(plan.contains(step), "{plan}");
}

#[test]
fn the_word_count_is_a_final_aggregate() {
    plans(&text("words-sql", &["'in'", "'out'"]), "Aggregate by (word), COUNT(*)");
}

#[test]
fn the_windowed_count_takes_a_fraction_of_a_second_and_a_difference_of_times() {
    let text = text("windows-sql", &["2.1", "'in'", "'out'", "10"]);
    plans(&text, "WindowAggregate tumble 10 s, by (key), COUNT(*)");
    plans(&text, "- 2100 ms");
}
