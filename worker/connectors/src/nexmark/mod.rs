//! Nexmark: the auction site of the public streaming benchmark, as three tables that are made and not read.
//!
//! Of fifty events the first is a new person, the next three are new auctions, the other forty-six are bids; ids, hot items and
//! prices follow the benchmark's rules. A table holds the events of one kind (`'event-type' = 'bid'`), so that nothing is made
//! only to be filtered out. Row `i` of a kind is a fixed event of the stream and a pure function of (seed, event): the
//! three tables of one seed fit together, whatever is read of them, in whatever order and by how many.
//!
//! Each column is its own loop ([`bid`], [`person_auction`]) and runs only when somebody wants the column: a query that looks at numbers
//! never pays for text.

mod bid;
mod person_auction;
mod stream;
mod text;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use watershed_runtime::container::Batch;
use watershed_runtime::env::Source;
use watershed_runtime::error::Error;

use crate::columns::{times, wrap};
use crate::generate::{Generator, RowMaker};
use crate::options::{Reader, nearest};
use stream::{Event, Stream};

/// Makes one column for some rows of a kind.
pub(crate) type Make = fn(&Stream, Range<u64>) -> ArrayRef;

/// The columns of a kind: name without its underscores in lower case, and how it is made.
fn columns_of(kind: Event) -> &'static [(&'static str, Make)] {
    match kind {
        Event::Person => person_auction::PERSON,
        Event::Auction => person_auction::AUCTION,
        Event::Bid => bid::BID,
    }
}

#[derive(Debug)]
struct Maker {
    stream: Stream,
    columns: Vec<Make>,
    schema: SchemaRef,
}

/// The source of a Nexmark table.
pub(crate) fn source(options: &mut Reader<'_>, schema: &SchemaRef, projected: &SchemaRef) -> Result<Arc<dyn Source>, Error> {
    options.required("event-type")?;
    let kind = match options.choice("event-type", &["person", "auction", "bid"])? {
        Some("person") => Event::Person,
        Some("auction") => Event::Auction,
        _ => Event::Bid,
    };
    let seed = options.integer("seed", 0, i64::MAX)?.unwrap_or(0) as u64;
    // How dense events are in event time; the wall clock is 'rows-per-second'.
    let density = options.integer("first-event.rate", 1, 1_000_000_000)?.unwrap_or(10_000);
    let base = options
        .parsed("base-time", "a time like '2015-07-15 00:00:00'", |v| times::parse_timestamp(v, TimeUnit::Microsecond, true))?;
    let stream = Stream::new(seed, kind, density as u64, base);
    let events = options.integer("events.num", 1, i64::MAX)?.map(|n| stream.rows_of(n as u64));
    let rows = options.integer("number-of-rows", 1, i64::MAX)?.map(|n| n as u64);
    for field in schema.fields() {
        make_of(options, kind, field.name(), field.data_type())?;
    }
    let columns = projected.fields().iter().map(|f| make_of(options, kind, f.name(), f.data_type())).collect::<Result<_, _>>()?;
    let mut generator = Generator::new(Maker { stream, columns, schema: Arc::clone(projected) });
    if let Some(n) = events.into_iter().chain(rows).min() {
        generator = generator.rows(n);
    }
    if let Some(rate) = options.integer("rows-per-second", 1, i64::MAX)? {
        generator = generator.rows_per_second(rate as f64);
    }
    Ok(Arc::new(generator))
}

fn make_of(options: &Reader<'_>, kind: Event, name: &str, t: &DataType) -> Result<Make, Error> {
    let plain: String = name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect();
    let columns = columns_of(kind);
    let Some((_, make)) = columns.iter().find(|(n, _)| *n == plain) else {
        let error = options.refuse("connector", format!("a Nexmark {} has no column '{name}'", kind.name()));
        let names = columns.iter().map(|c| c.0);
        return Err(match nearest(&plain, names.clone()) {
            Some(near) => error.advise(format!("did you mean '{near}'?")),
            None => error.advise(format!("its columns: {}", names.collect::<Vec<_>>().join(", "))),
        });
    };
    let wanted: fn(&DataType) -> bool = match plain.as_str() {
        "datetime" | "expires" => |t| matches!(t, DataType::Timestamp(..)),
        "auction" | "bidder" | "price" | "id" | "initialbid" | "reserve" | "seller" | "category" => |t| *t == DataType::Int64,
        _ => |t| *t == DataType::Utf8,
    };
    if !wanted(t) {
        return Err(options
            .refuse("connector", format!("column '{name}' cannot be a {t}"))
            .advise("ids, prices and categories are BIGINT, times TIMESTAMP(3), the others STRING"));
    }
    Ok(*make)
}

impl RowMaker for Maker {
    fn make(&self, rows: Range<u64>) -> Result<Batch, Error> {
        let broken = |e| Error::broken("nexmark", format!("made columns do not fit the table: {e}"));
        let mut columns = Vec::with_capacity(self.columns.len());
        for (make, field) in self.columns.iter().zip(self.schema.fields()) {
            let made = make(&self.stream, rows.clone());
            columns.push(if made.data_type() == field.data_type() {
                made
            } else {
                cast(&made, field.data_type()).map_err(broken)?
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map(wrap).map_err(broken)
    }
}

/// A column of numbers, from the event of each row.
pub(crate) fn numbers(stream: &Stream, rows: Range<u64>, f: impl Fn(u64) -> i64) -> ArrayRef {
    let values: Vec<i64> = stream.events(rows).map(f).collect();
    Arc::new(Int64Array::from(values))
}
