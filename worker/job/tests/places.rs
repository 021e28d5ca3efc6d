//! Positions in the manifest of places of the SQL.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

use watershed_job::job::{Program, SqlText};
use watershed_job::{parse_manifest, parse_sql};

fn sql_of(sql_field: &str) -> (String, SqlText) {
    let text = format!("apiVersion: watershed.dev/v1alpha1\nkind: StreamJob\nmetadata: {{name: a}}\nspec:\n{sql_field}");
    match parse_manifest("job.yaml", &text).unwrap().job.program {
        Program::Sql { text: sql, .. } => (text, sql),
        Program::Image { .. } => unreachable!("the manifest gives SQL"),
    }
}

/// Finds `WRONG` in the SQL and checks that its place in the manifest has `WRONG` too.
#[track_caller]
fn finds(sql_field: &str, exact: bool) {
    let (text, sql) = sql_of(sql_field);
    let (line, column) = sql
        .as_str()
        .lines()
        .enumerate()
        .find_map(|(i, l)| l.find("WRONG").map(|at| (i + 1, l[..at].chars().count() + 1)))
        .expect("the SQL has the word");
    let place = sql.place(u32::try_from(line).unwrap(), u32::try_from(column).unwrap());
    assert_eq!(place.exact, exact, "{place:?} in\n{text}");
    let there = text.lines().nth(place.position.line as usize - 1).expect("a line of the text");
    if exact {
        let rest: String = there.chars().skip(place.position.column as usize - 1).collect();
        assert!(rest.starts_with("WRONG"), "{place:?} points to {rest:?} in\n{text}");
    } else {
        assert!(
            text.lines().skip(place.position.line as usize - 1).any(|l| l.contains("WRONG")),
            "{place:?} is below it in\n{text}"
        );
    }
}

#[test]
fn a_literal_block_is_exact_at_any_indentation() {
    finds("  sql: |\n    SELECT\n      é, WRONG\n    FROM t\n", true);
    finds("  sql: |-\n\n\n        SELECT WRONG\n", true);
    finds("  sql: |4\n        SELECT WRONG\n", true);
    finds("  replicas: 2\n  sql: | # a comment\n    SELECT 1;\n\n    -- two\n    WRONG\n  suspend: false\n", true);
    finds("  sql: |\r\n    SELECT\r\n    WRONG\r\n", true);
}

#[test]
fn text_in_one_line_is_exact() {
    finds("  sql: SELECT WRONG FROM t\n", true);
    finds("  sql: 'SELECT WRONG'\n", true);
    finds("  sql: \"SELECT WRONG\"\n", true);
}

#[test]
fn folded_or_escaped_text_gives_its_beginning() {
    finds("  sql: >\n    SELECT\n    WRONG\n", false);
    finds("  sql: \"SELECT \\\"a\\\", WRONG\"\n", false);
    finds("  sql: 'it''s WRONG'\n", false);
    finds("  sql:\n    SELECT\n    WRONG\n", false);
}

#[test]
fn a_place_beyond_the_text_is_not_exact() {
    let (_, sql) = sql_of("  sql: |\n    SELECT 1\n");
    let place = sql.place(99, 1);
    assert!(!place.exact);
    assert_eq!(place.position.line, 6);
    assert_eq!(sql.place(0, 0), sql.place(1, 1));
}

#[test]
fn a_sql_file_is_its_own_place() {
    match parse_sql("a.sql", "SELECT\n  WRONG").unwrap().job.program {
        Program::Sql { text, .. } => {
            let place = text.place(2, 3);
            assert_eq!((place.position.line, place.position.column, place.exact), (2, 3, true));
        }
        Program::Image { .. } => unreachable!("SQL was given"),
    }
}
