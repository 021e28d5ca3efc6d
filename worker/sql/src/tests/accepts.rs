//! Texts that are planned, and their plans.

use super::{explain, job};
use crate::plan::{Changes, NodeKind, SinkMode};

/// Compares texts without regard to indentation of the literal.
fn check(sql: &str, want: &str) {
    let want: Vec<&str> =
        want.lines().map(|l| l.strip_prefix("        ").unwrap_or(l)).filter(|l| !l.trim().is_empty()).collect();
    let got = explain(sql);
    assert_eq!(got.trim_end(), want.join("\n").trim_end(), "\n{got}");
}

#[test]
fn word_count_reads_one_column() {
    check(
        "INSERT INTO counts SELECT word, COUNT(*) FROM words GROUP BY word",
        "
        Sink counts, changelog
          Aggregate by (word), COUNT(*), updates
            Calc select word
              Source words (word STRING), bounded",
    );
}

#[test]
fn windowed_count_needs_no_window_columns_below() {
    check(
        "INSERT INTO windows SELECT window_start, `key`, COUNT(*) FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, `key`",
        "
        Sink windows, append
          Calc select window_start, key, count_0 AS EXPR$2
            WindowAggregate tumble 10 s, by (key), COUNT(*)
              Calc select key
                Source clicks (ts BIGINT, key STRING), watermark TO_TIMESTAMP_LTZ(ts, CAST(3 AS BIGINT)) - 2 s, unbounded",
    );
}

#[test]
fn filters_and_projections_become_one_step() {
    check(
        "CREATE VIEW v AS SELECT word AS w, n + 1 AS m FROM words WHERE n > 2;
         INSERT INTO appended SELECT UPPER(w), m FROM v WHERE w LIKE 'a%' AND 1 = 1",
        "
        Sink appended, append
          Calc where (n > 2) where word LIKE 'a%' select UPPER(word) AS word, CAST((n + 1) AS BIGINT) AS n
            Source words (word STRING, n INT), bounded",
    );
}

#[test]
fn sinks_share_what_they_have_in_common() {
    let text = explain(
        "EXECUTE STATEMENT SET BEGIN
         INSERT INTO counts SELECT word, COUNT(*) FROM words GROUP BY word;
         INSERT INTO upserted SELECT word, COUNT(*) FROM words GROUP BY word;
         INSERT INTO appended SELECT word, n FROM words; END",
    );
    assert_eq!(text.matches("Aggregate").count(), 2, "{text}");
    assert!(text.contains("Aggregate (shared"), "{text}");
    assert!(text.contains("Source words (word STRING, n INT)"), "{text}");
    assert_eq!(text.matches("Source (shared").count(), 1, "{text}");
}

#[test]
fn ids_do_not_depend_on_other_statements() {
    let ids = |sql: &str| -> Vec<u64> {
        let plan = job(sql).expect("plans").plan.expect("has an INSERT");
        plan.nodes
            .iter()
            .filter(|n| matches!(n.kind, NodeKind::Aggregate(_) | NodeKind::Source(_) | NodeKind::Sink(_)))
            .map(|n| n.id.0)
            .collect()
    };
    let one = ids("INSERT INTO counts SELECT word, COUNT(*) FROM words GROUP BY word");
    let two = ids("INSERT INTO appended SELECT word, n FROM words WHERE n > 3;
         INSERT INTO counts SELECT w.word AS other, COUNT(*) AS c FROM words AS w GROUP BY w.word");
    assert!(one.iter().all(|id| two.contains(id)), "{one:x?} {two:x?}");
    let other = ids("INSERT INTO counts SELECT word, SUM(n) FROM words GROUP BY word");
    assert!(!one.iter().all(|id| other.contains(id)));
}

#[test]
fn batch_makes_updating_aggregates_final() {
    let plan = job("SET 'execution.runtime-mode' = 'batch'; INSERT INTO appended SELECT word, COUNT(*) FROM words GROUP BY word");
    let plan = plan.expect("plans").plan.expect("has an INSERT");
    assert!(plan.nodes.iter().all(|n| n.changes == Changes::Append));
}

#[test]
fn an_upsert_sink_is_keyed_by_the_group() {
    let plan = job("INSERT INTO upserted SELECT word, COUNT(*) FROM words GROUP BY word HAVING COUNT(*) > 1");
    let plan = plan.expect("plans").plan.expect("has an INSERT");
    let mode = plan.nodes.iter().find_map(|n| if let NodeKind::Sink(s) = &n.kind { Some(s.mode.clone()) } else { None });
    assert_eq!(mode, Some(SinkMode::Upsert(vec![0])));
}

#[test]
fn types_follow_flink() {
    let explained = |expr: &str| {
        explain(&format!("CREATE TABLE o (x DOUBLE) WITH ('connector' = 'sink'); INSERT INTO o SELECT {expr} FROM words"))
    };
    // Whole numbers are INT, and dividing them cuts.
    assert!(explained("n / 2").contains("CAST((n / 2) AS DOUBLE)"), "{}", explained("n / 2"));
    assert!(explained("7 / 2").contains("select CAST(3 AS DOUBLE) AS x"), "{}", explained("7 / 2"));
    let text = explain(
        "CREATE TABLE o (w STRING, a INT, s INT, m INT, c BIGINT) WITH ('connector' = 'print');
         INSERT INTO o SELECT word, AVG(n), SUM(n), MAX(n), COUNT(n) FROM words GROUP BY word",
    );
    assert!(text.starts_with("Sink o, changelog\n  Aggregate by (word), AVG(n), SUM(n), MAX(n), COUNT(n), updates\n"), "{text}");
}

#[test]
fn flink_functions_plan() {
    for expr in [
        "SPLIT_INDEX(word, ',', 0)",
        "REGEXP_EXTRACT(word, '(a)(b)', 2)",
        "CONCAT(word, 'x')",
        "word || 'x'",
        "IF(n > 1, 'a', 'b')",
        "IFNULL(word, 'x')",
        "COALESCE(word, 'x')",
        "CASE WHEN n > 1 THEN 'a' ELSE 'b' END",
        "DATE_FORMAT(TO_TIMESTAMP('2020-01-01 00:00:00'), 'yyyy-MM-dd')",
        "CAST(TO_TIMESTAMP_LTZ(n, 3) AS STRING)",
        "CAST(TIMESTAMPADD(DAY, 1, TO_TIMESTAMP('2020-01-01 00:00:00')) AS STRING)",
        "CAST(EXTRACT(YEAR FROM TO_TIMESTAMP_LTZ(n, 0)) AS STRING)",
        "CAST(FLOOR(TO_TIMESTAMP_LTZ(n, 0) TO HOUR) AS STRING)",
        "CAST(CHAR_LENGTH(word) AS STRING)",
        "SUBSTRING(word FROM 2 FOR 3)",
        "SUBSTR(word, 2)",
        "TRIM(word)",
        "LPAD(word, 10, '0')",
        "CAST(n > 1 AS STRING)",
        "CAST(MOD(n, 2) AS STRING)",
        "CAST(GREATEST(n, 2) AS STRING)",
        "CAST(TRY_CAST(word AS INT) AS STRING)",
        "CAST(POSITION('a' IN word) AS STRING)",
    ] {
        let sql = format!("INSERT INTO appended SELECT {expr}, 1 FROM words");
        assert!(job(&sql).is_ok(), "{expr}: {}", explain(&sql));
    }
}

#[test]
fn several_views_unions_and_subqueries_plan() {
    check(
        "INSERT INTO counts SELECT word, SUM(n) FROM (SELECT word, n FROM words WHERE n > 1 UNION ALL SELECT `key`, 1 FROM clicks) AS u GROUP BY word",
        "
        Sink counts, changelog
          Calc select word, CAST(sum(u.n) AS BIGINT) AS n
            Aggregate by (word), SUM(n), updates
              Union
                Calc where (n > 1) select word, n
                  Source words (word STRING, n INT), bounded
                Calc select key AS word, 1 AS n
                  Source clicks (ts BIGINT, key STRING), watermark TO_TIMESTAMP_LTZ(ts, CAST(3 AS BIGINT)) - 2 s, unbounded",
    );
}

#[test]
fn a_window_over_a_window_uses_window_time() {
    let text = explain(
        "CREATE VIEW a AS SELECT window_time AS t, `key`, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, window_time, `key`;
         INSERT INTO windows SELECT window_start, `key`, SUM(n) FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(t), INTERVAL '10' SECOND)) WHERE n > 1 GROUP BY window_start, window_end, `key`",
    );
    assert_eq!(text.matches("WindowAggregate").count(), 2, "{text}");
}
