//! Rows as lines on standard output or standard error: `print` and `stdout`.
//!
//! Lines go to an I/O thread, which writes whole blocks: lines of several slots never mix. Writing ends quietly when the reader
//! of a pipe has gone, as it does for every well-behaved program.

use std::io::{ErrorKind, Write};
use std::task::Waker;

use watershed_runtime::container::Batch;
use watershed_runtime::env::{Segment, Sink, SinkHandle, SinkWriter};
use watershed_runtime::error::{Error, Kind};

use crate::format::{LineEncoder, SinkFormat};
use crate::io::outbox::{Executor, Outbox};

/// A standard stream that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Lines on a standard stream.
#[derive(Debug)]
pub struct Output {
    target: Target,
    format: Box<dyn SinkFormat>,
}

impl Output {
    /// Rows in a format.
    pub fn new(target: Target, format: impl SinkFormat + 'static) -> Self {
        Self { target, format: Box::new(format) }
    }
}

impl Sink for Output {
    fn open(&self, _slot: u16, _term: u64) -> Result<Box<dyn SinkWriter>, Error> {
        Ok(Box::new(Lines { encoder: self.format.encoder(), outbox: Outbox::new(StandardStream(self.target)), last: 0 }))
    }

    fn commit(&self, _handles: &[SinkHandle]) -> Result<(), Error> {
        Ok(())
    }

    fn immediate(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Lines {
    encoder: Box<dyn LineEncoder>,
    outbox: Outbox<StandardStream>,
    last: u64,
}

impl SinkWriter for Lines {
    fn write(&mut self, batch: Batch, _segment: Segment) -> Result<(), Error> {
        let mut text = Vec::new();
        self.encoder.encode(batch, &mut text)?;
        let n = text.len();
        self.last = self.outbox.push(text, n)?;
        Ok(())
    }

    fn seal(&mut self, _epoch: u64) -> Result<(), Error> {
        Ok(())
    }

    /// No handles; but an epoch is sealed only when its lines are out.
    fn sealed(&mut self, _epoch: u64, waker: &Waker) -> Result<Option<Vec<(u64, Vec<u8>)>>, Error> {
        Ok(self.outbox.done(self.last, waker)?.then(Vec::new))
    }

    fn backlog(&self, waker: &Waker) -> usize {
        self.outbox.backlog(waker)
    }
}

#[derive(Debug)]
struct StandardStream(Target);

impl Executor for StandardStream {
    type Op = Vec<u8>;

    fn run(&mut self, text: Vec<u8>) -> Result<(), Error> {
        let (name, result) = match self.0 {
            Target::Stdout => {
                let mut out = std::io::stdout().lock();
                ("standard output", out.write_all(&text).and_then(|()| out.flush()))
            }
            Target::Stderr => ("standard error", std::io::stderr().lock().write_all(&text)),
        };
        match result {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(e) => Err(Error::new(Kind::Unavailable, format!("cannot write: {e}")).at(name).because(e)),
            Ok(()) => Ok(()),
        }
    }
}
