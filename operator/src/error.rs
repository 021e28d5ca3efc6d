//! Errors of a reconciliation. Each has a category, a word for metrics; the controller decides by it when to try again.

/// An object that the API server refuses.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The kind and name of the object.
    pub(crate) object: String,
    /// The API server's reason.
    pub(crate) why: String,
}

/// The reason why a reconciliation was not finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server did not answer as expected.
    #[error("cannot {what}")]
    Api {
        /// The request, as a phrase that follows "cannot".
        what: String,
        /// The client's error.
        source: kube::Error,
    },
    /// The API server refuses an object that follows from the job.
    #[error("the API server refuses {}: {}", .0.object, .0.why)]
    Refused(Refused),
    /// The reconciliation ran into its deadline of so many seconds.
    #[error("the reconciliation of the job took longer than {0} s and was given up")]
    Late(u64),
    /// An object has no name or namespace, which no API server gives.
    #[error("the object has no {0}")]
    Nameless(&'static str),
}

/// The result of a step of a reconciliation.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The category, a label of metrics.
    pub(crate) fn category(&self) -> &'static str {
        match self {
            Self::Api { .. } => "api",
            Self::Refused(_) => "refused",
            Self::Late(_) => "deadline",
            Self::Nameless(_) => "nameless",
        }
    }
}

/// Results of the API client that get the request's description as context.
pub(crate) trait Tried<T> {
    /// An error says which request failed.
    fn tried(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Tried<T> for std::result::Result<T, kube::Error> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Api { what: what(), source })
    }
}

/// An error and its causes as one line of text.
pub(crate) fn error_text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text.push_str(&format!(": {e}"));
        cause = e.source();
    }
    text
}
