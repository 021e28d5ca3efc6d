//! The purpose of a stop: why a running job is stopped.

/// The purpose of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `spec.suspend` is true.
    Suspend,
    /// The spec asks for another revision.
    Update,
    /// The job is being deleted.
    Delete,
    /// The input of the job is at its end.
    Finish,
    /// The job was stopped by another client than the operator, and its spec asks for a running job.
    Restart,
}

impl Purpose {
    /// The name of the purpose, as `status.lastSnapshot.trigger` has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Suspend => "Suspend",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Finish => "Finish",
            Self::Restart => "Restart",
        }
    }

    /// The reason of the condition `Ready` while the job is stopped for this purpose.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Suspend => "Suspending",
            Self::Update => "Updating",
            Self::Delete => "Deleting",
            Self::Finish => "Finishing",
            Self::Restart => "Restarting",
        }
    }
}
