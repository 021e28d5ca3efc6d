//! Capacity: whether the workers that are there have memory for the state of the job.
//!
//! A worker's capacity is the one that it registered with (`--memory-bytes`); a worker that gave none counts as unlimited. The size of the
//! state is that of the largest stored file alone: less than the state takes in memory, so no job waits that has enough.

/// The bytes of state that the workers hold together; `None` if one of them sets no limit.
pub(crate) fn capacity(budgets: impl IntoIterator<Item = u64>) -> Option<u64> {
    budgets.into_iter().map(|b| (b > 0).then_some(b)).sum()
}

/// The reason for which a job with so much state does not begin with these workers; `None` if it may begin.
pub(crate) fn shortfall(state: u64, workers: usize, room: Option<u64>) -> Option<String> {
    let room = room.filter(|room| *room < state)?;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Some(format!("{workers} workers have room for {} MiB, and the job's state has {} MiB", mib(room), mib(state)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_that_does_not_fit_is_named_and_one_worker_without_a_limit_is_enough() {
        const MIB: u64 = 1 << 20;
        assert_eq!(shortfall(3 * MIB, 2, capacity([MIB, 2 * MIB])), None);
        let why = shortfall(3 * MIB + 1, 2, capacity([MIB, 2 * MIB])).unwrap();
        assert_eq!(why, "2 workers have room for 3 MiB, and the job's state has 4 MiB");
        assert_eq!(shortfall(u64::MAX, 2, capacity([MIB, 0])), None);
    }
}
