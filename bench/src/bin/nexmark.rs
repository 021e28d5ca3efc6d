//! `nexmark q0|q1|q2 ROWS` and `nexmark q0|q1|q2-alone ROWS`: bids made in process into a blackhole, and the generator with the same
//! columns and nothing behind it. Says the seconds of the run itself, planning left out of both.

use std::error::Error;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use watershed::LocalJob;
use watershed::runtime::env::Read;
use watershed_bench::sql::graph;
use watershed_bench::{number, say, scratch};
use watershed_connectors::options::Options;
use watershed_connectors::tables::{TableSpec, source};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

/// The sink's columns, the query, and the columns that it reads.
fn query(name: &str) -> Result<(&'static str, &'static str, &'static [&'static str]), Failure> {
    const BID: &str =
        "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP(3), extra STRING";
    Ok(match name {
        "q0" => (BID, "SELECT * FROM bid", &["auction", "bidder", "price", "channel", "url", "date_time", "extra"]),
        "q1" => (
            "auction BIGINT, bidder BIGINT, price DOUBLE, date_time TIMESTAMP(3), extra STRING",
            "SELECT auction, bidder, CAST(0.908 AS DOUBLE) * price, date_time, extra FROM bid",
            &["auction", "bidder", "price", "date_time", "extra"],
        ),
        "q2" => (
            "auction BIGINT, price BIGINT",
            "SELECT auction, price FROM bid WHERE auction IN (1007, 1020, 2001, 2019, 2087)",
            &["auction", "price"],
        ),
        other => return Err(format!("no query `{other}`: q0, q1, q2, or one of them with -alone").into()),
    })
}

fn alone(columns: &[&str], rows: u64) -> Result<f64, Failure> {
    let kind = |name: &str| match name {
        "channel" | "url" | "extra" => DataType::Utf8,
        "date_time" => DataType::Timestamp(TimeUnit::Millisecond, None),
        _ => DataType::Int64,
    };
    let schema = Arc::new(Schema::new(columns.iter().map(|c| Field::new(*c, kind(c), true)).collect::<Vec<_>>()));
    let options = Options::new().with("connector", "nexmark").with("event-type", "bid").with("number-of-rows", rows.to_string());
    let table = TableSpec::new("bid", schema.clone(), options);
    let source = source(&table, &schema)?;
    let begin = Instant::now();
    let mut seen = 0;
    for split in source.discover()?.splits {
        let mut reader = source.open(&split, &[])?;
        while let Read::Batch(batch) = reader.read(4096, Waker::noop())? {
            seen += batch.len() as u64;
            drop(std::hint::black_box(batch));
        }
    }
    let took = begin.elapsed().as_secs_f64();
    if seen == rows { Ok(took) } else { Err(format!("{seen} rows instead of {rows}").into()) }
}

fn main() -> Result<(), Failure> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let rows = number(2, 20_000_000)?;
    if let Some(name) = name.strip_suffix("-alone") {
        let seconds = alone(query(name)?.2, rows)?;
        return say(&[("seconds", seconds), ("rows", rows as f64)]);
    }
    let (columns, select, _) = query(&name)?;
    let (bid, ..) = query("q0")?;
    let text = format!(
        "CREATE TABLE bid ({bid}) WITH ('connector' = 'nexmark', 'event-type' = 'bid', 'number-of-rows' = '{rows}');
CREATE TABLE kept ({columns}) WITH ('connector' = 'blackhole');
INSERT INTO kept {select};"
    );
    let ready = LocalJob::new("nexmark", graph(&text)?)
        .epoch(Duration::from_secs(1))
        .storage(scratch("nexmark"))
        .fresh(true)
        .prepare()?;
    let begin = Instant::now();
    ready.run()?;
    say(&[("seconds", begin.elapsed().as_secs_f64()), ("rows", rows as f64)])
}
