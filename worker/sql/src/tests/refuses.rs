//! Texts that are refused: line, column, reason, and what to do. Lines are counted from the statement's own.

use super::refusal;

fn check(sql: &str, want: &[&str]) {
    let got = refusal(sql);
    for part in want {
        assert!(got.contains(part), "expected {part:?} in\n{got}\nfor {sql}");
    }
}

#[test]
fn unknown_names_say_the_nearest() {
    check("INSERT INTO appended SELECT wrod, n FROM words", &["line 1, column 29", "no column 'wrod'", "did you mean 'word'?"]);
    check(
        "INSERT INTO appended\nSELECT word, n FROM wrods",
        &["line 2, column 21", "no table or view 'wrods'", "did you mean 'words'?"],
    );
    check(
        "INSERT INTO apended SELECT word, n FROM words",
        &["line 1, column 13", "no table 'apended'", "did you mean 'appended'?"],
    );
    check("INSERT INTO appended SELECT UPPPER(word), n FROM words", &["line 1, column 29", "upper"]);
    check("INSERT INTO appended SELECT w.wrod, n FROM words w", &["line 1, column 29", "'wrod'"]);
    check("SET 'execution.runtime-mod' = 'batch'", &["line 1, column 5", "did you mean 'execution.runtime-mode'?"]);
    check("SET 'execution.runtime-mode' = 'bach'", &["line 1, column 32", "did you mean 'batch'?"]);
}

#[test]
fn the_rest_of_sql_is_refused_at_its_place() {
    let insert = |rest: &str| format!("INSERT INTO appended SELECT word, n FROM words {rest}");
    check(&insert("ORDER BY n"), &["line 1, column 57", "ORDER BY is not supported yet"]);
    check(&insert("LIMIT 3"), &["LIMIT is not supported yet", "line 1"]);
    check(&insert("JOIN clicks ON word = `key`"), &["line 1, column 53", "JOIN is not supported yet"]);
    check(&insert(", clicks"), &["line 1, column 50", "a join"]);
    check(&insert("WHERE word IN (SELECT `key` FROM clicks)"), &["line 1, column 54", "a query inside an expression"]);
    check(&insert("UNION SELECT word, n FROM words"), &["UNION without ALL", "UNION ALL"]);
    check("INSERT INTO appended SELECT DISTINCT word, n FROM words", &["line 1, column 38", "SELECT DISTINCT", "GROUP BY"]);
    check(
        "INSERT INTO appended SELECT word, COUNT(*) OVER (PARTITION BY word) FROM words",
        &["line 1, column 35", "OVER is not supported"],
    );
    check(
        "INSERT INTO counts SELECT word, COUNT(DISTINCT n) FROM words GROUP BY word",
        &["line 1, column 33", "COUNT(DISTINCT …)"],
    );
    check("INSERT INTO counts SELECT CAST(NOW() AS STRING), 1 FROM words", &["line 1, column 32", "NOW reads the clock"]);
    check("INSERT INTO counts SELECT UUID(), 1 FROM words", &["line 1, column 27", "another value each time"]);
    check("INSERT INTO counts VALUES ('a', 1)", &["VALUES is not supported yet"]);
    check("CREATE FUNCTION f AS 'x'", &["line 1, column 8", "CREATE FUNCTION is not supported"]);
    check("SELECT * FROM words", &["line 1, column 1", "a query without INSERT INTO"]);
    check("DROP TABLE words", &["line 1, column 1", "DROP has no meaning"]);
    check("FROBNICATE", &["line 1, column 1", "begins no statement"]);
    check("INSERT INTO counts SELECT word, FIRST_VALUE(n) FROM words GROUP BY word", &["line 1, column 33"]);
}

#[test]
fn tables_are_refused_at_their_place() {
    let with = "WITH ('connector' = 'files')";
    check(&format!("CREATE TABLE t (a ROW<x INT>) {with}"), &["line 1, column 19", "ROW is not supported"]);
    check(&format!("CREATE TABLE t (a ARRAY<INT>) {with}"), &["line 1, column 19", "ARRAY is not supported"]);
    check(&format!("CREATE TABLE t (a TIMESTAMP(9)) {with}"), &["line 1, column 19", "microseconds"]);
    check(&format!("CREATE TABLE t (a INT METADATA FROM 'x') {with}"), &["line 1, column 23", "METADATA"]);
    check(&format!("CREATE TABLE t (a INT, a INT) {with}"), &["line 1, column 24", "already defined"]);
    check(&format!("CREATE TABLE words (a INT) {with}"), &["line 1, column 14", "already defined at line 1, column 14"]);
    check(&format!("CREATE TABLE t (a INT, PRIMARY KEY (b) NOT ENFORCED) {with}"), &["line 1, column 37", "names 'b'"]);
    check(&format!("CREATE TABLE t (a INT, PRIMARY KEY (a)) {with}"), &["NOT ENFORCED"]);
    check(&format!("CREATE TABLE t (a INT, WATERMARK FOR b AS b) {with}"), &["line 1, column 38", "no column"]);
    check(&format!("CREATE TABLE t (a INT, WATERMARK FOR a AS a) {with}"), &["line 1, column 38", "not a time-stamp"]);
    check(
        &format!("CREATE TABLE t (a TIMESTAMP(3), WATERMARK FOR a AS a - INTERVAL '1' MONTH) {with}"),
        &["line 1", "no fixed length"],
    );
    check(&format!("CREATE TABLE t (a TIMESTAMP(3), WATERMARK FOR a AS a + INTERVAL '1' SECOND) {with}"), &["minus an interval"]);
    check(&format!("CREATE TABLE t (a INT, b AS c + 1) {with}"), &["line 1, column 29", "no column 'c'"]);
    check("CREATE TABLE t (a INT)", &["has no WITH"]);
    check("CREATE TABLE t (a INT) WITH ('path' = 'x')", &["line 1, column 14", "'connector'"]);
    check("CREATE TABLE t (a INT) WITH ('path' = 'x', 'path' = 'y')", &["line 1, column 44", "already set"]);
    check("CREATE TABLE t (a INT, ) WITH ('connector' = 'files')", &["line 1, column 24"]);
    check("CREATE TABLE t (a FROB) WITH ('connector' = 'files')", &["line 1, column 19", "FROB"]);
}

#[test]
fn windows_are_refused_at_their_place() {
    let over = |f: &str| {
        format!(
            "INSERT INTO windows SELECT window_start, `key`, COUNT(*)\nFROM TABLE({f})\nGROUP BY window_start, window_end, `key`"
        )
    };
    check(&over("TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '0' SECOND)"), &["line 2, column", "zero length"]);
    check(&over("TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '-1' SECOND)"), &["line 2, column", "negative length"]);
    check(&over("TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' MONTH)"), &["line 2, column", "no fixed length"]);
    check(&over("TUMBLE(TABLE clicks, DESCRIPTOR(att), INTERVAL '1' SECOND)"), &["line 2, column 44", "did you mean 'at'?"]);
    check(&over("TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' SECOND)"), &["line 2, column 44", "not the event time"]);
    check(&over("TUMBLE(TABLE clicsk, DESCRIPTOR(at), INTERVAL '1' SECOND)"), &["line 2", "did you mean 'clicks'?"]);
    check(
        &over("HOP(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' SECOND, INTERVAL '2' SECOND)"),
        &["line 2, column 12", "HOP windows"],
    );
    check(&over("TUMBEL(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' SECOND)"), &["line 2, column 12", "did you mean 'TUMBLE'?"]);
}

#[test]
fn types_are_refused_at_their_place() {
    check(
        "INSERT INTO appended SELECT word, word FROM words",
        &["line 1, column 35", "'n' of 'appended' is BIGINT, the query gives STRING", "CAST"],
    );
    check("INSERT INTO appended SELECT word FROM words", &["line 1, column 13", "gives 1 columns, 'appended' takes 2"]);
    check("INSERT INTO appended (n, m) SELECT n, n FROM words", &["line 1, column 26", "no stored column 'm'"]);
    check("INSERT INTO appended SELECT word, SUM(word) FROM words GROUP BY word", &["line 1, column 35", "SUM of STRING"]);
    check("INSERT INTO appended SELECT word, n FROM words WHERE n", &["line 1, column 54"]);
    check("INSERT INTO appended SELECT word, n FROM words WHERE word + TRUE > 1", &["line 1, column 54"]);
    check("INSERT INTO counts SELECT word, n FROM words GROUP BY word", &["line 1, column 33", "GROUP BY"]);
    check("INSERT INTO upserted SELECT word, SPLIT_INDEX(word, 1) FROM words", &["line 1, column 35", "takes 3 arguments"]);
}

#[test]
fn sinks_that_cannot_take_updates_are_refused() {
    check(
        "INSERT INTO appended SELECT word, COUNT(*) FROM words GROUP BY word",
        &[
            "line 1, column 13",
            "only takes new rows",
            "TUMBLE",
            "PRIMARY KEY",
            "debezium-json",
            "'execution.runtime-mode' = 'batch'",
        ],
    );
    check("INSERT INTO upserted SELECT UPPER(word), COUNT(*) FROM words GROUP BY word", &["line 1, column 13", "unique"]);
    check("SET 'execution.runtime-mode' = 'batch'; INSERT INTO counts SELECT `key`, 1 FROM clicks", &["never ends"]);
}

#[test]
fn texts_that_are_no_sql_are_refused() {
    check("INSERT INTO", &["line 1"]);
    check("INSERT INTO appended SELECT 'abc", &["line 1, column 29"]);
    check("INSERT INTO appended SELECT word, FROM words", &["line 1, column"]);
    check("EXECUTE STATEMENT SET BEGIN INSERT INTO appended SELECT word, n FROM words;", &["not closed"]);
    check("END;", &["END without a statement set"]);
    check("", &["no INSERT INTO"]);
    let deep = format!("INSERT INTO appended SELECT word, {}n{} FROM words", "(".repeat(5000), ")".repeat(5000));
    check(&deep, &["nested too deeply"]);
    let long = format!("INSERT INTO appended SELECT word, n{} FROM words", " + n".repeat(5000));
    check(&long, &["operators"]);
    let fits = format!("INSERT INTO appended SELECT word, n{} FROM words", " + n".repeat(900));
    check(&fits, &["accepted"]);
}
