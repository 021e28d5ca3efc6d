//! `nexmark`: the events of one kind as a table.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use watershed_runtime::env::Source;
use watershed_runtime::error::Error;

use super::connector::{Connector, SourceTable};
use super::spec::SourceTraits;
use crate::columns::times;
use crate::generate::Generator;
use crate::nexmark::Make;
use crate::nexmark::rows::{EventRows, columns_of};
use crate::nexmark::stream::{Event, Stream};
use crate::options::{Reader, nearest};

pub(super) const CONNECTOR: Connector = Connector { name: "nexmark", source: Some(parse), sink: None };

struct Events {
    stream: Stream,
    /// Every column of the table: its name there, and how it is made.
    columns: Vec<(String, Make)>,
    rows: Option<u64>,
    rate: Option<i64>,
}

fn parse(options: &mut Reader<'_>, schema: &SchemaRef) -> Result<Box<dyn SourceTable>, Error> {
    let kinds = [("person", Event::Person), ("auction", Event::Auction), ("bid", Event::Bid)];
    let kind = options.required_choice("event-type", &kinds)?;
    let seed = options.integer("seed", 0, i64::MAX)?.unwrap_or(0) as u64;
    // The density of events in event time; the wall clock is 'rows-per-second'.
    let density = options.integer("first-event.rate", 1, 1_000_000_000)?.unwrap_or(10_000);
    let base = options
        .parsed("base-time", "a time like '2015-07-15 00:00:00'", |v| times::parse_timestamp(v, TimeUnit::Microsecond, true))?;
    let stream = Stream::new(seed, kind, density as u64, base);
    let events = options.integer("events.num", 1, i64::MAX)?.map(|n| stream.rows_of(n as u64));
    let rows = options.integer("number-of-rows", 1, i64::MAX)?.map(|n| n as u64);
    let rows = events.into_iter().chain(rows).min();
    let rate = options.integer("rows-per-second", 1, i64::MAX)?;
    let make = |f: &Arc<arrow::datatypes::Field>| Ok((f.name().clone(), column(options, kind, f.name(), f.data_type())?));
    let columns = schema.fields().iter().map(make).collect::<Result<_, Error>>()?;
    Ok(Box::new(Events { stream, columns, rows, rate }))
}

/// The maker of the column of this name, in any spelling.
fn column(options: &Reader<'_>, kind: Event, name: &str, t: &DataType) -> Result<Make, Error> {
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

impl SourceTable for Events {
    fn traits(&self) -> SourceTraits {
        SourceTraits { bounded: self.rows.is_some() }
    }

    fn build(&self, projected: &SchemaRef) -> Result<Arc<dyn Source>, Error> {
        let make = |f: &Arc<arrow::datatypes::Field>| {
            let column = self.columns.iter().find(|(name, _)| name == f.name());
            column.map(|c| c.1).ok_or_else(|| Error::broken("nexmark", format!("the table has no column '{}'", f.name())))
        };
        let columns = projected.fields().iter().map(make).collect::<Result<_, Error>>()?;
        let mut generator = Generator::new(EventRows::new(self.stream.clone(), columns, Arc::clone(projected)));
        if let Some(n) = self.rows {
            generator = generator.rows(n);
        }
        if let Some(rate) = self.rate {
            generator = generator.rows_per_second(rate as f64);
        }
        Ok(Arc::new(generator))
    }
}
