//! Settings of a run, resolved once: flags, over what the job says of itself, over defaults.

use std::time::Duration;

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::KeySpace;

use super::flags::RunFlags;
use crate::local::LocalJob;
use crate::telemetry::log::Format;

/// The settings of a run. Begin with [`Settings::new`], set what the job says, then lay the flags over it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The job's name.
    pub name: String,
    /// Engine threads.
    pub slots: u16,
    /// Engine threads of each worker, and how many workers there are, of a job in many processes.
    pub each: u16,
    /// See [`Settings::each`].
    pub replicas: u32,
    /// The place of snapshots; `None` is the default directory.
    pub storage: Option<String>,
    /// Throw earlier snapshots away.
    pub fresh: bool,
    /// The length of an epoch.
    pub epoch: Duration,
    /// The key groups of a new job.
    pub keys: KeySpace,
    /// Stored states (`node.state`) that may be given up.
    pub drop_states: Vec<String>,
    /// Any stored state that the job no longer has may be given up.
    pub drop_unmatched: bool,
    /// The format of events.
    pub format: Format,
    /// The address at which metrics are served.
    pub http: Option<String>,
    /// Name and text of the file that says what the job is; `None` for a program.
    pub file: Option<(String, String)>,
    /// No live line, even on a terminal: rows are printed there.
    pub quiet: bool,
}

impl Settings {
    /// The defaults of a job.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            slots: 1,
            each: 1,
            replicas: 1,
            storage: None,
            fresh: false,
            epoch: Duration::from_secs(1),
            keys: KeySpace::default(),
            drop_states: Vec::new(),
            drop_unmatched: false,
            format: Format::Text,
            http: None,
            file: None,
            quiet: false,
        }
    }

    /// With what was typed.
    #[must_use]
    pub fn with(mut self, flags: RunFlags) -> Self {
        let RunFlags { slots, storage, fresh, epoch, drop_states, format, http } = flags;
        (self.slots, self.each) = (slots.unwrap_or(self.slots), slots.unwrap_or(self.each));
        self.storage = storage.or(self.storage);
        self.fresh |= fresh;
        self.epoch = epoch.unwrap_or(self.epoch);
        self.drop_states.extend(drop_states);
        self.format = format;
        self.http = http.or(self.http);
        self
    }

    /// The job with these settings.
    pub(crate) fn job(&self, graph: Graph) -> Result<LocalJob> {
        let groups = self.keys.groups();
        if usize::from(self.slots) > groups {
            return Err(Error::new(
                Kind::Invalid,
                format!("{} slots need more than the {groups} key groups there are", self.slots),
            )
            .at("--slots")
            .advise("lower --slots; for a new job, raise `keyGroups` in its manifest"));
        }
        let job = LocalJob::new(&self.name, graph)
            .slots(self.slots)
            .epoch(self.epoch)
            .fresh(self.fresh)
            .keys(self.keys)
            .may_drop(self.drop_states.clone())
            .drop_unmatched(self.drop_unmatched);
        Ok(match &self.storage {
            Some(url) => job.storage(url),
            None => job,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_count_more_than_the_job_and_the_job_more_than_defaults() {
        let mut said = Settings::new("j");
        (said.slots, said.storage) = (4, Some("s3://bucket/j".into()));
        let flags = RunFlags { slots: Some(2), ..RunFlags::default() };
        let settings = said.with(flags);
        assert_eq!((settings.slots, settings.storage.as_deref()), (2, Some("s3://bucket/j")));
        assert_eq!(settings.epoch, Duration::from_secs(1));
    }
}
