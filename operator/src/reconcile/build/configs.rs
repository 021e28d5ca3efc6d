//! The ConfigMaps: one a revision, which never changes, and one of what a coordinator is told when it starts.

use serde_json::{Value, json};

use super::{Surroundings, account, templates};
use crate::reconcile::names::{COORDINATOR, COORDINATOR_PORT, Names, REVISION};
use crate::reconcile::observe::REVISION_MAP;
use crate::reconcile::validate::Judged;

/// The key of the pod templates.
pub(crate) const TEMPLATES: &str = "templates.json";

/// The ConfigMap of a revision: the manifest its processes read, and the templates of its pods as they were made. The templates are kept so that
/// another version of the operator does not change, and so restart, what runs.
pub(crate) fn revision_map(judged: &Judged, names: &Names, around: &Surroundings) -> Value {
    let mut metadata = names.metadata(&names.revision(&judged.revision), Some(REVISION_MAP));
    if let Some(labels) = metadata.pointer_mut("/labels").and_then(Value::as_object_mut) {
        labels.insert(REVISION.into(), json!(judged.revision));
    }
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "immutable": true,
        "data": {"job.yaml": judged.manifest, TEMPLATES: templates(judged, names, around).to_string()},
    })
}

/// The key of the coordinator's address.
pub(crate) const TOLD_ADDRESS: &str = "coordinator";

/// What a job's processes are told when they start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    /// How many workers.
    pub(crate) replicas: u32,
    /// The address of the coordinator's Service.
    pub(crate) address: &'a str,
}

/// What a job's processes are told when they start: how many workers, where the coordinator is, whose tokens they let in, and the keys these
/// are checked with. Not in the templates, since an operator that moves to another namespace must not make another revision. The coordinator's
/// address is that of its Service and no name: a job whose cluster has lost its name servers with a node goes on.
pub(crate) fn told_map(judged: &Judged, names: &Names, told: Told<'_>, around: &Surroundings) -> Value {
    let Told { replicas, address } = told;
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let account = format!("system:serviceaccount:{}:{}", names.namespace, account(judged, names));
    let subjects: Vec<&str> = std::iter::once(account.as_str()).chain(around.operator.as_deref()).collect();
    let mut data = json!({
        "replicas": replicas.to_string(),
        TOLD_ADDRESS: format!("{host}:{COORDINATOR_PORT}"),
        "subjects": subjects.join(","),
    });
    if let (Some(keys), Some(fields)) = (&around.keys, data.as_object_mut()) {
        fields.insert("jwks.json".into(), json!(keys.as_str()));
    }
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(&names.coordinator(), Some(COORDINATOR)),
        "data": data,
    })
}
