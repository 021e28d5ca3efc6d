//! The context of reconciliations: the client, connections to coordinators, memory, metrics, and the settings of the operator.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use kube::Client;
use kube::runtime::events::Recorder;

use crate::log::Log;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::reconcile::client::Coordinators;
use crate::reconcile::memory::Memory;
use crate::reconcile::{Environment, KeySet};
use crate::settings::Settings;

/// The context of all reconciliations.
pub(crate) struct Context {
    /// The client of the API server.
    pub(crate) client: Client,
    /// The settings of the operator.
    pub(crate) settings: Settings,
    /// Connections to coordinators.
    pub(crate) coordinators: Coordinators,
    /// The memory between two reconciliations.
    pub(crate) memory: Memory,
    /// The writer of Events.
    pub(crate) recorder: Recorder,
    /// The metrics of the operator.
    pub(crate) metrics: Metrics,
    /// The state of the leader election, for `/readyz`.
    pub(crate) readiness: Readiness,
    /// The log.
    pub(crate) log: Log,
    /// The keys that tokens are checked with.
    pub(crate) keys: Mutex<Option<KeySet>>,
}

impl Context {
    /// The token to show to coordinators. The kubelet renews the file, so it is read each time.
    pub(crate) fn token(&self) -> Option<String> {
        let path: &PathBuf = self.settings.token_file.as_ref()?;
        std::fs::read_to_string(path).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())
    }

    /// The environment that every job's objects are made with.
    pub(crate) fn environment(&self) -> Environment {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Environment {
            operator: self.settings.subject.clone(),
            operator_namespace: self.settings.namespace.clone(),
            metrics_namespaces: self.settings.metrics_namespaces.clone(),
            keys,
        }
    }
}
