//! Hands chunks of whole lines from the I/O threads to a slot, a little ahead of it.
//!
//! At most [`AHEAD`] chunks wait for a slot; a chunk the slot is done with gives its buffer back. With the default of 128 KiB an
//! open split holds less than half a MiB, and a slot may have many open. One lock a chunk, none a row.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use watershed_runtime::error::{Error, Kind};

use super::cutter::{Chunk, Cutter, Text};
use super::error::io_error;
use crate::io::mutex::lock;
use crate::io::pool;

/// The number of chunks that are read ahead of the slot.
const AHEAD: usize = 2;
/// The default size of a chunk.
pub(crate) const CHUNK: usize = 128 << 10;

/// The result of a poll.
#[derive(Debug)]
pub(crate) enum Next {
    Chunk(Chunk),
    Pending,
    End,
}

/// The input of a split.
#[derive(Debug)]
pub(crate) enum Input {
    /// A file, opened by the first read.
    Path(PathBuf),
    /// An open file that stands where the cutter wants to read.
    File(PathBuf, File),
    /// The process's standard input.
    Stdin,
}

/// The slot's end of a split's read-ahead.
#[derive(Debug)]
pub(crate) struct Chunks {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Absent while an I/O thread has them.
    work: Option<(Input, Cutter)>,
    ready: VecDeque<Chunk>,
    spare: Vec<Vec<u8>>,
    failed: Option<Error>,
    ended: bool,
    closed: bool,
    blocking: bool,
    waker: Option<Waker>,
}

impl Drop for Chunks {
    fn drop(&mut self) {
        lock(&self.shared).closed = true;
    }
}

impl Chunks {
    pub(crate) fn new(input: Input, cutter: Cutter) -> Self {
        let blocking = matches!(input, Input::Stdin);
        let state = State {
            work: Some((input, cutter)),
            ready: VecDeque::with_capacity(AHEAD),
            spare: Vec::new(),
            failed: None,
            ended: false,
            closed: false,
            blocking,
            waker: None,
        };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    /// The next chunk. Gives `done` back for reuse, and keeps the reading ahead going.
    pub(crate) fn poll(&self, done: Option<Vec<u8>>, waker: &Waker) -> Result<Next, Error> {
        let mut state = lock(&self.shared);
        state.spare.extend(done);
        let next = match state.ready.pop_front() {
            Some(chunk) => Next::Chunk(chunk),
            None => {
                if let Some(error) = state.failed.take() {
                    return Err(error);
                }
                if state.ended {
                    return Ok(Next::End);
                }
                state.waker = Some(waker.clone());
                Next::Pending
            }
        };
        if !state.ended
            && state.failed.is_none()
            && state.ready.len() < AHEAD
            && let Some(work) = state.work.take()
        {
            let blocking = state.blocking;
            drop(state);
            let shared = Arc::clone(&self.shared);
            if blocking {
                pool::detached("watershed-stdin", move || pump(&shared, work))
                    .map_err(|e| Error::new(Kind::Unavailable, format!("cannot start a thread to read standard input: {e}")))?;
            } else {
                pool::submit(move || pump(&shared, work));
            }
        }
        Ok(next)
    }
}

/// Reads until enough waits, the input ends or fails, or the slot has gone.
fn pump(shared: &Mutex<State>, work: (Input, Cutter)) {
    let (mut input, mut cutter) = work;
    let mut spare = lock(shared).spare.pop().unwrap_or_default();
    loop {
        let result = read(&mut input, &mut cutter, spare);
        let mut state = lock(shared);
        let mut more = false;
        match result {
            Ok(Some(chunk)) => {
                state.ready.push_back(chunk);
                more = state.ready.len() < if cutter.beyond() { 1 } else { AHEAD } && !state.closed;
            }
            Ok(None) => state.ended = true,
            Err(error) => state.failed = Some(error),
        }
        spare = if more { state.spare.pop().unwrap_or_default() } else { Vec::new() };
        let waker = state.waker.take();
        if !more && !state.ended && state.failed.is_none() {
            state.work = Some((input, cutter));
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        }
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        if !more {
            return;
        }
    }
}

fn read(input: &mut Input, cutter: &mut Cutter, spare: Vec<u8>) -> Result<Option<Chunk>, Error> {
    if let Input::Path(path) = input {
        let opened = File::open(&*path).map_err(|e| io_error("open the file", path, e))?;
        let file = stand(opened, path, cutter.offset())?;
        *input = Input::File(std::mem::take(path), file);
    }
    match input {
        Input::File(path, file) => cutter.next_chunk(file, spare).map_err(|e| io_error("read the file", path, e)),
        Input::Stdin => cutter
            .next_chunk(&mut std::io::stdin().lock(), spare)
            .map_err(|e| Error::new(Kind::Unavailable, format!("cannot read: {e}")).at("standard input").because(e)),
        // Opened just above.
        Input::Path(_) => Ok(None),
    }
}

fn stand(mut file: File, path: &std::path::Path, offset: u64) -> Result<File, Error> {
    let meta = file.metadata().map_err(|e| io_error("look at the file", path, e))?;
    if meta.is_file() && meta.len() < offset {
        return Err(Error::new(Kind::Data, format!("the file has {} bytes, but reading goes on at byte {offset}", meta.len()))
            .at(path.display().to_string())
            .advise("files of a source must not shrink while a job reads them: restore the file, or start afresh"));
    }
    if offset > 0 {
        file.seek(SeekFrom::Start(offset)).map_err(|e| io_error("seek in the file", path, e))?;
    }
    Ok(file)
}

impl Text {
    /// True if the text begins with a byte order mark, which some editors put before the first line.
    pub(crate) fn has_mark(&self) -> bool {
        let bytes = match self {
            Self::Lines(s) => s.as_bytes(),
            Self::Raw(v) | Self::TooLong(v) => v,
        };
        bytes.starts_with(b"\xef\xbb\xbf")
    }

    /// The buffer, for reuse.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        match self {
            Self::Lines(s) => s.into_bytes(),
            Self::Raw(v) | Self::TooLong(v) => v,
        }
    }
}
