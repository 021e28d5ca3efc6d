//! From an error to an exit code, and what is printed on the way. The codes are documented in `docs/cli.md`, and a supervisor may act on
//! them: 3 is worth another try, 2 is not.

use std::io::{ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;

use watershed_runtime::error::{Error, Kind, Result, explain};

/// Every exit code and what it means.
pub const EXIT_CODES: [(u8, &str); 8] = [
    (0, "the job finished, was stopped with a snapshot, or was told to end (SIGTERM) before it ran"),
    (1, "the job failed on its data"),
    (2, "the command line, the job or its options are invalid"),
    (3, "storage, a file or another service is not available: worth another try"),
    (4, "fenced: a newer process runs the job"),
    (5, "stored snapshots are damaged; nothing was changed"),
    (70, "a defect in Watershed"),
    (130, "a second Ctrl-C or SIGTERM: ended at once; the next start goes on from the last snapshot"),
];

/// Said by a command that has printed what it had to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed;

/// The exit code of an error.
#[must_use]
pub fn exit_code(kind: Kind) -> u8 {
    match kind {
        Kind::Data => 1,
        Kind::Invalid => 2,
        Kind::Unavailable => 3,
        Kind::Fenced => 4,
        Kind::Corrupt => 5,
        Kind::Broken => 70,
    }
}

/// Prints an error, unless there is none, and gives the exit code.
pub fn report<T>(result: Result<T>) -> ExitCode {
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => {
            // There is no place left to report that standard error is closed.
            let _closed = writeln!(stderr(), "{}", explain(&e));
            ExitCode::from(exit_code(e.kind()))
        }
    }
}

/// Writes to standard output. That nobody reads on (`| head`) is fine.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<Printed> {
    let mut out = std::io::BufWriter::new(stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(Printed),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(Printed),
        Err(e) => Err(Error::new(Kind::Unavailable, "cannot write to standard output").because(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_documented_code() {
        for kind in [Kind::Data, Kind::Invalid, Kind::Unavailable, Kind::Fenced, Kind::Corrupt, Kind::Broken] {
            assert!(EXIT_CODES.iter().any(|(code, _)| *code == exit_code(kind)), "{kind:?}");
        }
    }
}
