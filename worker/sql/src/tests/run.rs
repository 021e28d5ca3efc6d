//! Texts are planned, built and run over given rows, in one thread and without a slot; results are compared with what Flink gives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::ReaderBuilder;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use watershed_columnar::Columns;
use watershed_runtime::container::Batch;
use watershed_runtime::env::{Discovered, Read, Segment, Sink, SinkHandle, SinkWriter, Source, SplitId, SplitReader};
use watershed_runtime::error::Result;
use watershed_runtime::graph::{Graph, NodeIndex, Role};
use watershed_runtime::key::{GroupSet, KeySpace};
use watershed_runtime::operator::{Context, Flow, Operator, Watermarks};
use watershed_runtime::time::Time;

use super::TABLES;
use crate::{Connectors, SinkTraits, SourceTraits, TableDef, build, compile};

const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

/// Tables in memory: rows of sources as JSON lines, rows of sinks as text.
#[derive(Debug, Default)]
struct Memory {
    input: BTreeMap<String, String>,
    written: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

impl Connectors for Memory {
    fn describe_source(&self, _: &TableDef) -> Result<SourceTraits> {
        Ok(SourceTraits { bounded: true })
    }

    fn describe_sink(&self, table: &TableDef) -> Result<SinkTraits> {
        super::Fake.describe_sink(table)
    }

    fn source(&self, table: &TableDef, projected: &SchemaRef) -> Result<Arc<dyn Source>> {
        let lines = self.input.get(&table.name).cloned().unwrap_or_default();
        Ok(Arc::new(Lines { schema: Arc::clone(projected), lines }))
    }

    fn sink(&self, table: &TableDef, _: &SchemaRef) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(Written { name: table.name.clone(), to: Arc::clone(&self.written) }))
    }
}

#[derive(Clone, Debug)]
struct Lines {
    schema: SchemaRef,
    lines: String,
}

impl Source for Lines {
    fn discover(&self) -> Result<Discovered> {
        Ok(Discovered { splits: vec!["all".into()], complete: true })
    }
    fn open(&self, _: &SplitId, _: &[u8]) -> Result<Box<dyn SplitReader>> {
        Ok(Box::new(self.clone()))
    }
    fn bounded(&self) -> bool {
        true
    }
}

impl SplitReader for Lines {
    fn read(&mut self, max_rows: usize, _: &Waker) -> Result<Read> {
        let n = self.lines.lines().take(max_rows).map(|l| l.len() + 1).sum::<usize>().min(self.lines.len());
        let head: String = self.lines.drain(..n).collect();
        if head.trim().is_empty() {
            return Ok(Read::Finished);
        }
        let rows = head.lines().count();
        let batch = if self.schema.fields().is_empty() {
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(Arc::clone(&self.schema), vec![], &options).unwrap()
        } else {
            ReaderBuilder::new(Arc::clone(&self.schema)).build(head.as_bytes()).unwrap().next().unwrap().unwrap()
        };
        Ok(Read::Batch(Box::new(Columns::from(batch))))
    }
    fn position(&self) -> Vec<u8> {
        Vec::new()
    }
}

#[derive(Clone, Debug)]
struct Written {
    name: String,
    to: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

impl Sink for Written {
    fn open(&self, _: u16, _: u64) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(self.clone()))
    }
    fn commit(&self, _: &[SinkHandle]) -> Result<()> {
        Ok(())
    }
}

impl SinkWriter for Written {
    fn write(&mut self, batch: Batch, _: Segment) -> Result<()> {
        let parts = Columns::expect(batch)?.into_parts()?;
        let options = FormatOptions::default().with_null("NULL");
        let columns: Vec<_> =
            parts.batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        let mut to = self.to.lock().unwrap();
        let out = to.entry(self.name.clone()).or_default();
        for row in 0..parts.batch.num_rows() {
            let op = parts.ops.get(row).copied().unwrap_or_default().symbol();
            let values: Vec<String> = columns.iter().map(|c| c.value(row).to_string()).collect();
            out.push(format!("{op} {}", values.join(" ")));
        }
        Ok(())
    }
    fn seal(&mut self, _: u64) -> Result<()> {
        Ok(())
    }
    fn sealed(&mut self, _: u64, _: &Waker) -> Result<Option<Vec<(u64, Vec<u8>)>>> {
        Ok(Some(Vec::new()))
    }
    fn backlog(&self, _: &Waker) -> usize {
        0
    }
}

/// A graph being run by hand: everything goes straight down.
struct Hand<'a> {
    graph: &'a Graph,
    operators: Vec<Option<Box<dyn Operator>>>,
    writers: Vec<Option<Box<dyn SinkWriter>>>,
    watermarks: Vec<Time>,
    late: u64,
}

impl Hand<'_> {
    fn push(&mut self, from: NodeIndex, batch: Batch) -> Result<()> {
        let edges: Vec<_> = self.graph.edges().iter().filter(|e| e.from == from && e.output == 0).copied().collect();
        for e in edges {
            self.call(e.to, |op, cx| op.on_batch(e.input, batch.copy(), cx), Some(batch.copy()))?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        at: NodeIndex,
        f: impl FnOnce(&mut dyn Operator, &mut Context<'_>) -> Result<Flow>,
        sunk: Option<Batch>,
    ) -> Result<()> {
        if let (Some(Some(writer)), Some(batch)) = (self.writers.get_mut(at.0), sunk) {
            return writer.write(batch, Segment { epoch: 1, version: 0, slot: 0 });
        }
        let Some(Some(mut op)) = self.operators.get_mut(at.0).map(Option::take) else { return Ok(()) };
        let marks = Watermarks::uniform(self.watermarks[at.0]);
        let mut out = Vec::new();
        let mut flow = f(op.as_mut(), &mut Context::new(&marks, 0, SPACE, &mut out, &mut self.late))?;
        while flow == Flow::More {
            flow = op.resume(&mut Context::new(&marks, 0, SPACE, &mut out, &mut self.late))?;
        }
        self.operators[at.0] = Some(op);
        for (port, batch) in out {
            if port == 0 && !batch.is_empty() {
                self.push(at, batch)?;
            }
        }
        Ok(())
    }

    fn all(&mut self, f: fn(&mut dyn Operator, &mut Context<'_>) -> Result<Flow>) -> Result<()> {
        (0..self.operators.len()).try_for_each(|i| self.call(NodeIndex(i), f, None))
    }
}

/// Runs a text over JSON lines; the epoch ends after each `per` rows of a source.
fn run(sql: &str, input: &[(&str, &str)], per: usize) -> Result<BTreeMap<String, Vec<String>>> {
    let memory = Memory { input: input.iter().map(|(t, l)| ((*t).to_owned(), (*l).to_owned())).collect(), ..Memory::default() };
    let plan = compile(&format!("{TABLES}{sql}"), &memory)?.plan.expect("the text has an INSERT");
    let graph = build(&plan, &memory)?;
    let mut hand = Hand {
        graph: &graph,
        operators: Vec::new(),
        writers: Vec::new(),
        watermarks: vec![Time::MIN; graph.nodes().len()],
        late: 0,
    };
    for node in graph.nodes() {
        hand.operators.push(if let Role::Operator { make, .. } = &node.role { Some(make(SPACE)?) } else { None });
        hand.writers.push(if let Role::Sink(sink) = &node.role { Some(sink.open(0, 0)?) } else { None });
    }
    for op in hand.operators.iter_mut().flatten() {
        op.tables(&mut |t| t.activate(&GroupSet::all(SPACE)));
    }
    for (i, node) in graph.nodes().iter().enumerate() {
        let Role::Source { source, event_time } = &node.role else { continue };
        let mut reader = source.open(&"all".into(), &[])?;
        let mut stamper = event_time.as_ref().map(|e| (e.stamper)());
        while let Read::Batch(batch) = reader.read(per, Waker::noop())? {
            let batch = match &mut stamper {
                Some(s) => s.stamp(batch)?.0,
                None => batch,
            };
            hand.push(NodeIndex(i), batch)?;
            hand.all(|op, cx| op.on_flush(cx))?;
        }
    }
    // A node hears of the end after all that its inputs had to say.
    for i in 0..graph.nodes().len() {
        hand.watermarks[i] = Time::MAX;
        hand.call(NodeIndex(i), |op, cx| op.on_watermark(cx), None)?;
    }
    hand.all(|op, cx| op.on_flush(cx))?;
    let written = std::mem::take(&mut *memory.written.lock().unwrap());
    Ok(written)
}

const WORDS: (&str, &str) = (
    "words",
    r#"{"word":"a","n":1}
{"word":"b","n":2}
{"word":"a","n":3}
{"word":null,"n":4}
{"word":"a","n":null}
"#,
);

/// The rows of one sink, sorted.
fn rows(sql: &str, per: usize, sink: &str) -> Vec<String> {
    let clicks = (
        "clicks",
        r#"{"ts":1000,"key":"x","value":1}
{"ts":11000,"key":"x","value":2}
{"ts":9999,"key":"y","value":3}
{"ts":1001,"key":"x","value":-4}
"#,
    );
    match run(sql, &[WORDS, clicks], per) {
        Ok(mut written) => {
            let mut rows = written.remove(sink).unwrap_or_default();
            rows.sort();
            rows
        }
        Err(e) => vec![watershed_runtime::error::explain(&e)],
    }
}

#[test]
fn rows_are_filtered_and_computed() {
    assert_eq!(
        rows("INSERT INTO appended SELECT UPPER(word), n * 10 FROM words WHERE n > 1", 100, "appended"),
        ["+I A 30", "+I B 20", "+I NULL 40"]
    );
    assert_eq!(
        rows("INSERT INTO appended SELECT word, 7 / n FROM words WHERE n <> 0", 1, "appended"),
        ["+I NULL 1", "+I a 2", "+I a 7", "+I b 3"]
    );
}

#[test]
fn windows_are_counted() {
    let sql = "INSERT INTO windows SELECT window_start, `key`, SUM(`value`) FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, `key`";
    for per in [1, 100] {
        assert_eq!(
            rows(sql, per, "windows"),
            ["+I 1970-01-01T00:00:00 x -3", "+I 1970-01-01T00:00:00 y 3", "+I 1970-01-01T00:00:10 x 2"]
        );
    }
}

#[test]
fn windows_without_groups_are_columns() {
    let sql = "INSERT INTO windows SELECT window_end, `key`, `value` FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '10' SECOND)) WHERE window_start > TIMESTAMP '1970-01-01 00:00:05'";
    assert_eq!(rows(sql, 100, "windows"), ["+I 1970-01-01T00:00:20 x 2"]);
}

#[test]
fn a_window_of_windows_adds_up() {
    let sql = "CREATE VIEW a AS SELECT window_time AS t, `key`, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, window_time, `key`;
         INSERT INTO windows SELECT window_start, `key`, SUM(n) FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(t), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, `key`";
    assert_eq!(
        rows(sql, 100, "windows"),
        ["+I 1970-01-01T00:00:00 x 2", "+I 1970-01-01T00:00:00 y 1", "+I 1970-01-01T00:00:10 x 1"]
    );
}

#[test]
fn updates_leave_once_an_epoch() {
    let sql = "INSERT INTO counts SELECT word, COUNT(*) FROM words GROUP BY word";
    assert_eq!(rows(sql, 100, "counts"), ["+I NULL 1", "+I a 3", "+I b 1"]);
    let each = rows(sql, 1, "counts");
    assert_eq!(each, ["+I NULL 1", "+I a 1", "+I b 1", "+U a 2", "+U a 3", "-U a 1", "-U a 2"]);
    let having = rows(
        "INSERT INTO upserted SELECT word, COUNT(n) FROM words WHERE word IS NOT NULL GROUP BY word HAVING COUNT(n) < 2",
        1,
        "upserted",
    );
    assert_eq!(having, ["+I a 1", "+I b 1", "-D a 1"]);
}

#[test]
fn an_aggregate_of_an_aggregate_takes_rows_back() {
    let sql = "CREATE VIEW c AS SELECT word, COUNT(*) AS n FROM words GROUP BY word;
         CREATE TABLE top (m BIGINT, n BIGINT) WITH ('connector' = 'print');
         INSERT INTO top SELECT MAX(n), COUNT(*) FROM c";
    assert_eq!(rows(sql, 100, "top"), ["+I 3 3"]);
    let each = rows(sql, 1, "top");
    assert!(each.contains(&"+I 1 1".to_owned()) && each.contains(&"+U 3 3".to_owned()), "{each:?}");
}

#[test]
fn batch_gives_final_results_only() {
    let batch = "SET 'execution.runtime-mode' = 'batch';";
    let sql = format!("{batch} INSERT INTO appended SELECT word, SUM(n) FROM words GROUP BY word");
    assert_eq!(rows(&sql, 1, "appended"), ["+I NULL 4", "+I a 4", "+I b 2"]);
    let sql = format!(
        "{batch} CREATE TABLE one (n BIGINT, s INT) WITH ('connector' = 'sink'); INSERT INTO one SELECT COUNT(*), SUM(n) FROM words WHERE n > 99"
    );
    assert_eq!(rows(&sql, 1, "one"), ["+I 0 NULL"]);
}

#[test]
fn unions_and_two_sinks_share_a_source() {
    let sql = "INSERT INTO counts SELECT word, SUM(n) FROM (SELECT word, n FROM words UNION ALL SELECT `key`, 1 FROM clicks) AS u GROUP BY word;
         INSERT INTO appended SELECT word, n FROM words WHERE n = 2";
    assert_eq!(rows(sql, 100, "appended"), ["+I b 2"]);
    let counts = rows(sql, 100, "counts");
    assert!(
        ["+I x 3", "+I y 1", "+I a 4", "+I b 2", "+I NULL 4"].iter().all(|r| counts.contains(&(*r).to_owned())),
        "{counts:?}"
    );
}

#[test]
fn data_that_cannot_be_computed_says_what_to_do() {
    let e = rows("INSERT INTO appended SELECT word, 7 / (n - 1) FROM words", 100, "appended");
    assert!(e[0].contains("7 / (n - 1)") && e[0].contains("TRY_CAST"), "{e:?}");
    let e = rows("INSERT INTO appended SELECT word, CAST(word AS INT) FROM words", 100, "appended");
    assert!(e[0].contains("CAST(word AS INT)"), "{e:?}");
    let strict =
        "CREATE TABLE strict (word STRING NOT NULL) WITH ('connector' = 'sink'); INSERT INTO strict SELECT word FROM words";
    let e = rows(strict, 100, "strict");
    assert!(e[0].contains("NOT NULL") && e[0].contains("table 'strict'"), "{e:?}");
}

/// One expression over the first word, as Flink prints it.
fn value(expr: &str) -> String {
    let sql = format!(
        "CREATE TABLE v (x STRING) WITH ('connector' = 'sink'); INSERT INTO v SELECT CAST({expr} AS STRING) FROM words WHERE n = 1"
    );
    rows(&sql, 100, "v").first().map_or_else(String::new, |r| r.trim_start_matches("+I ").to_owned())
}

#[test]
fn functions_give_what_flink_gives() {
    for (expr, want) in [
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("-7 % 2", "-1"),
        ("MOD(7, 3)", "1"),
        ("1.5 + 1", "2.5"),
        ("CAST(1.9 AS INT)", "1"),
        ("n = 1", "TRUE"),
        ("CAST(NULL AS INT) = 1", "NULL"),
        ("CONCAT(word, NULL, 'b')", "NULL"),
        ("CONCAT(word, 'b', 'c')", "abc"),
        ("word || 'b'", "ab"),
        ("SPLIT_INDEX('a,b,c', ',', 1)", "b"),
        ("SPLIT_INDEX('a,b,c', ',', 3)", "NULL"),
        ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "bar"),
        ("REGEXP_REPLACE('foobar', 'oo|ar', '')", "fb"),
        ("CHAR_LENGTH('abc')", "3"),
        ("SUBSTRING('abcdef' FROM 2 FOR 3)", "bcd"),
        ("UPPER('abc')", "ABC"),
        ("TRIM('  a ')", "a"),
        ("LPAD('a', 3, '0')", "00a"),
        ("POSITION('b' IN 'abc')", "2"),
        ("GREATEST(1, 3, 2)", "3"),
        ("GREATEST(1, CAST(NULL AS INT))", "NULL"),
        ("IF(n > 0, 'p', 'm')", "p"),
        ("IFNULL(NULL, 'x')", "x"),
        ("COALESCE(NULL, word)", "a"),
        ("TO_TIMESTAMP_LTZ(1500, 3)", "1970-01-01 00:00:01.500"),
        ("TO_TIMESTAMP_LTZ(60, 0)", "1970-01-01 00:01:00.000"),
        ("TO_TIMESTAMP('2020-02-29 12:34:56')", "2020-02-29 12:34:56.000"),
        ("TO_TIMESTAMP('no time')", "NULL"),
        ("TO_TIMESTAMP('29.02.2020', 'dd.MM.yyyy')", "2020-02-29 00:00:00.000"),
        ("DATE_FORMAT(TO_TIMESTAMP('2020-02-29 12:34:56'), 'yyyy/MM/dd HH')", "2020/02/29 12"),
        ("FROM_UNIXTIME(86400)", "1970-01-02 00:00:00"),
        ("UNIX_TIMESTAMP('1970-01-01 00:01:00')", "60"),
        ("TIMESTAMPDIFF(HOUR, TO_TIMESTAMP('2020-01-01 00:00:00'), TO_TIMESTAMP('2020-01-02 01:30:00'))", "25"),
        ("TIMESTAMPDIFF(MONTH, TO_TIMESTAMP('2020-01-31 00:00:00'), TO_TIMESTAMP('2020-02-29 00:00:00'))", "0"),
        ("TIMESTAMPADD(MONTH, 1, TO_TIMESTAMP('2020-01-31 00:00:00'))", "2020-02-29 00:00:00.000"),
        ("TO_TIMESTAMP_LTZ(0, 3) + INTERVAL '1' DAY", "1970-01-02 00:00:00.000"),
        ("FLOOR(TO_TIMESTAMP('2020-02-29 12:34:56') TO HOUR)", "2020-02-29 12:00:00.000"),
        ("EXTRACT(YEAR FROM TO_TIMESTAMP('2020-02-29 12:34:56'))", "2020"),
        ("HOUR(TO_TIMESTAMP('2020-02-29 12:34:56'))", "12"),
        ("TRY_CAST('x' AS INT)", "NULL"),
        ("CASE WHEN n > 1 THEN 'big' WHEN n = 1 THEN 'one' END", "one"),
        ("word LIKE 'a%' AND word NOT IN ('b', 'c')", "TRUE"),
        ("n BETWEEN 1 AND 2", "TRUE"),
        ("CAST('12' AS BIGINT) + 1", "13"),
        ("CAST(1 AS DECIMAL(10, 2))", "1.00"),
    ] {
        assert_eq!(value(expr), want, "{expr}");
    }
}

#[test]
fn no_rows_give_nothing() {
    let written = run("INSERT INTO appended SELECT word, n FROM words", &[], 10);
    assert!(written.expect("runs").is_empty());
}
