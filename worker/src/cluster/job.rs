//! The settings of a coordinator.

use std::time::Duration;

use watershed_cluster::{Settings, Target};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::KeySpace;
use watershed_runtime::protocol::rescale::Sizes;
use watershed_wire::v1::FileReply;

use super::watch::CoordinatorWatch;
use crate::executor::{pace, settings};
use crate::transport::Network;

/// The coordinator of a job in many processes.
pub struct CoordinatorJob {
    pub(super) settings: Settings,
    pub(super) fresh: bool,
    pub(super) storage: String,
    pub(super) listen: String,
    pub(super) network: Network,
    pub(super) tells: Box<dyn Fn(&str) + Send>,
    pub(super) watch: CoordinatorWatch,
    /// Name and text of the file that the job is from.
    pub(super) file: Option<(String, String)>,
}

impl std::fmt::Debug for CoordinatorJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoordinatorJob").field("settings", &self.settings).field("storage", &self.storage).finish_non_exhaustive()
    }
}

impl CoordinatorJob {
    /// The coordinator of a job whose snapshots are in `storage`: an epoch a second, one worker, any port of loopback.
    #[must_use]
    pub fn new(name: impl Into<String>, graph: Graph, storage: impl Into<String>) -> Self {
        let settings = settings(name.into(), graph, Target::Workers(1));
        Self {
            watch: CoordinatorWatch::new(&settings.job),
            settings,
            fresh: false,
            storage: storage.into(),
            listen: "127.0.0.1:0".into(),
            network: Network::default(),
            tells: Box::new(|_| ()),
            file: None,
        }
    }

    /// The time between two snapshots; output is committed with each.
    #[must_use]
    pub fn epoch(mut self, every: Duration) -> Self {
        self.settings.pace = pace(every);
        self
    }

    /// The number of workers that the job begins with.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.settings.target = Target::Workers(replicas.max(1));
        self
    }

    /// The sizes of batches in which key groups move.
    #[must_use]
    pub fn sizes(mut self, sizes: Sizes) -> Self {
        self.settings.sizes = sizes;
        self
    }

    /// The listener who hears, in a sentence, how runs begin and end.
    #[must_use]
    pub fn tells(mut self, tells: impl Fn(&str) + Send + 'static) -> Self {
        self.tells = Box::new(tells);
        self
    }

    /// The job as monitors see it.
    #[must_use]
    pub fn watch(mut self, watch: CoordinatorWatch) -> Self {
        self.watch = watch;
        self
    }

    /// The name and the text of the file that says what the job is, for workers that ask for it.
    #[must_use]
    pub fn file(mut self, file: Option<(String, String)>) -> Self {
        self.file = file;
        self
    }

    pub(super) fn file_reply(&self) -> FileReply {
        let (name, text) = self.file.clone().unwrap_or_default();
        FileReply { job: self.settings.job.clone(), name, text }
    }

    /// Throws earlier snapshots of the job away.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// The number of key groups; only the first start of a job can set it.
    #[must_use]
    pub fn keys(mut self, keys: KeySpace) -> Self {
        self.settings.keys = keys;
        self
    }

    /// Stored states (`node.state`) that may be given up because the job no longer has them.
    #[must_use]
    pub fn may_drop(mut self, states: Vec<String>) -> Self {
        self.settings.may_drop = states;
        self
    }

    /// Any stored state that the job no longer has may be given up.
    #[must_use]
    pub fn drop_unmatched(mut self, drop: bool) -> Self {
        self.settings.drop_unmatched = drop;
        self
    }

    /// The address at which it listens, for workers and for users.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// Certificates and token.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }
}
