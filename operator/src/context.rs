//! What every look at a job needs: the client, connections to coordinators, what is remembered, what surrounds the operator.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use kube::Client;
use kube::runtime::events::Recorder;

use crate::log::Log;
use crate::metrics::Metrics;
use crate::reconcile::ask::Coordinators;
use crate::reconcile::memory::Memory;
use crate::reconcile::{Keys, Surroundings};
use crate::settings::Settings;

/// What every look at a job needs.
pub(crate) struct Context {
    /// The API server.
    pub(crate) client: Client,
    /// What the operator was told.
    pub(crate) settings: Settings,
    /// Connections to coordinators.
    pub(crate) coordinators: Coordinators,
    /// What is remembered between two looks.
    pub(crate) memory: Memory,
    /// Writes Events.
    pub(crate) recorder: Recorder,
    /// Counts.
    pub(crate) metrics: Metrics,
    /// Says.
    pub(crate) log: Log,
    /// The keys that tokens are checked with.
    pub(crate) keys: Mutex<Option<Keys>>,
}

impl Context {
    /// The token to show to coordinators. The kubelet renews the file, so it is read each time.
    pub(crate) fn token(&self) -> Option<String> {
        let path: &PathBuf = self.settings.token_file.as_ref()?;
        std::fs::read_to_string(path).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())
    }

    /// What surrounds the operator.
    pub(crate) fn surroundings(&self) -> Surroundings {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Surroundings {
            operator: self.settings.subject.clone(),
            operator_namespace: self.settings.namespace.clone(),
            metrics_namespaces: self.settings.metrics_namespaces.clone(),
            keys,
        }
    }
}
