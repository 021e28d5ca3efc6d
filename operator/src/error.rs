//! What can go wrong in a look at a job: each says whether to try again, and has a word for metrics and Events.

use crate::reconcile::apply::Refused;

/// Why a look at a job was not finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server did not answer as expected.
    #[error("cannot {what}")]
    Api {
        /// What was tried.
        what: String,
        /// What it said.
        source: kube::Error,
    },
    /// The API server refuses an object that follows from the job.
    #[error("the API server refuses {}: {}", .0.object, .0.why)]
    Refused(Refused),
    /// It took too long.
    #[error("the look at the job took longer than {0} s and was given up")]
    Late(u64),
    /// An object has no name or namespace, which no API server gives.
    #[error("the object has no {0}")]
    Nameless(&'static str),
}

/// The result of a step.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// One word for metrics.
    pub(crate) fn category(&self) -> &'static str {
        match self {
            Self::Api { .. } => "api",
            Self::Refused(_) => "refused",
            Self::Late(_) => "deadline",
            Self::Nameless(_) => "nameless",
        }
    }
}

/// Says what was tried.
pub(crate) trait Tried<T> {
    /// Names what was tried.
    fn tried(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Tried<T> for std::result::Result<T, kube::Error> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Api { what: what(), source })
    }
}
