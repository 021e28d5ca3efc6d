//! `filesystem`: files as a table.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::{Sink, Source};
use watershed_runtime::error::Error;

use super::connector::{Connector, SinkTable, SourceTable};
use super::json::{ReadOptions, WriteOptions};
use super::spec::{SinkTraits, SourceTraits};
use crate::fs::{FileSink, FileSource, paths};
use crate::options::Reader;

pub(super) const CONNECTOR: Connector = Connector { name: "filesystem", source: Some(parse_source), sink: Some(parse_sink) };

struct Files {
    path: String,
    read: ReadOptions,
    /// The interval at which new files are looked for; never if absent.
    monitor: Option<Duration>,
}

fn parse_source(options: &mut Reader<'_>, schema: &SchemaRef) -> Result<Box<dyn SourceTable>, Error> {
    let path = options.required("path")?.to_owned();
    paths::local(&path).map_err(|e| options.at_table(e))?;
    let read = ReadOptions::parse(options, schema)?;
    let monitor = options.duration("source.monitor-interval")?;
    if monitor.is_some_and(|every| every.is_zero()) {
        return Err(options.refuse("source.monitor-interval", "the interval is zero").advise("write an interval like '1 s'"));
    }
    Ok(Box::new(Files { path, read, monitor }))
}

impl SourceTable for Files {
    fn traits(&self) -> SourceTraits {
        SourceTraits { bounded: self.monitor.is_none() }
    }

    fn build(&self, projected: &SchemaRef) -> Result<Arc<dyn Source>, Error> {
        let format = self.read.format(projected)?;
        let mut source = FileSource::new(self.path.clone(), format).ignore_parse_errors(self.read.ignore_errors);
        if let Some(every) = self.monitor {
            source = source.watch(every);
        }
        Ok(Arc::new(source))
    }
}

struct Directory {
    path: PathBuf,
    write: WriteOptions,
    roll_at: Option<u64>,
}

fn parse_sink(options: &mut Reader<'_>, schema: &SchemaRef) -> Result<Box<dyn SinkTable>, Error> {
    let path = options.required("path")?;
    let path = paths::local(path).map_err(|e| options.at_table(e))?.into();
    let write = WriteOptions::parse(options, schema)?;
    let roll_at = options.bytes("sink.rolling-policy.file-size")?;
    Ok(Box::new(Directory { path, write, roll_at }))
}

impl SinkTable for Directory {
    fn traits(&self) -> SinkTraits {
        SinkTraits { accepts: self.write.accepts }
    }

    fn build(&self, input: &SchemaRef) -> Result<Arc<dyn Sink>, Error> {
        let mut sink = FileSink::new(&self.path, self.write.format(input)?);
        if let Some(bytes) = self.roll_at {
            sink = sink.roll_at(bytes);
        }
        Ok(Arc::new(sink))
    }
}
