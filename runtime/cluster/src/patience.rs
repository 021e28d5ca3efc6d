//! Waits and time-outs, in microseconds of the process's own clock.

/// The time-outs of a manager and its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The time for which a dropped connection may be gone. A dial takes milliseconds; a process that is gone never dials.
    pub gone: i64,
    /// The time for which a worker may say nothing.
    pub silent: i64,
    /// A manager that was not stepped for so long has not listened either: silence begins anew.
    pub away: i64,
    /// The time for which a job that has run before waits for all of its workers, before it begins with those that are there.
    pub gather: i64,
    /// The time for which a job that has never run waits for them: it would begin with few and rescale at once.
    pub gather_first: i64,
    /// The rest between two tries when something that a run needs is away.
    pub rest: i64,
    /// The time for which runs may fail because something is away, before the process ends with that, so that its supervisor sees it.
    pub failing: i64,
    /// The interval between reads of the log for a newer term.
    pub look: i64,
    /// The interval between deletions of unreachable files.
    pub collect: i64,
    /// The time for which a worker that leaves waits for a manager that is away.
    pub leave: i64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            gone: 700_000,
            silent: 5_000_000,
            away: 1_000_000,
            gather: 3_000_000,
            gather_first: 30_000_000,
            rest: 1_000_000,
            failing: 60_000_000,
            look: 2_000_000,
            collect: 5_000_000,
            leave: 10_000_000,
        }
    }
}
