//! The ConfigMaps of a job: one a revision, which never changes, and one with the parameters that its processes read when they start.

use serde_json::{Value, json};

use super::environment::{Environment, account};
use super::templates::templates;
use crate::reconcile::names::{COORDINATOR, COORDINATOR_ADDRESS, COORDINATOR_PORT, Names, REVISION, REVISION_MAP, TEMPLATES};
use crate::reconcile::validate::Validated;

/// The ConfigMap of a revision: the manifest its processes read, and the templates of its pods as they were made. The templates are kept
/// so that another version of the operator does not change, and so restart, what runs.
pub(crate) fn revision_map(validated: &Validated, names: &Names, environment: &Environment) -> Value {
    let mut metadata = names.metadata(&names.revision(&validated.revision), Some(REVISION_MAP));
    if let Some(labels) = metadata.pointer_mut("/labels").and_then(Value::as_object_mut) {
        labels.insert(REVISION.into(), json!(validated.revision));
    }
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "immutable": true,
        "data": {"job.yaml": validated.manifest, TEMPLATES: templates(validated, names, environment).to_string()},
    })
}

/// The parameters that a job's processes read when they start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartParameters<'a> {
    /// The number of workers that a coordinator begins with.
    pub(crate) replicas: u32,
    /// The address of the coordinator's Service.
    pub(crate) address: &'a str,
}

/// The ConfigMap of the start parameters: the number of workers, the coordinator's address, the accounts whose tokens are accepted, and
/// the keys that these are checked with. They are not in the templates, since an operator that moves to another namespace must not make
/// another revision. The coordinator's address is that of its Service and no name: a job whose cluster has lost its name servers with a
/// node goes on.
pub(crate) fn start_map(
    validated: &Validated,
    names: &Names,
    parameters: StartParameters<'_>,
    environment: &Environment,
) -> Value {
    let StartParameters { replicas, address } = parameters;
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let account = format!("system:serviceaccount:{}:{}", names.namespace, account(validated, names));
    let subjects: Vec<&str> = std::iter::once(account.as_str()).chain(environment.operator.as_deref()).collect();
    let mut data = json!({
        "replicas": replicas.to_string(),
        COORDINATOR_ADDRESS: format!("{host}:{COORDINATOR_PORT}"),
        "subjects": subjects.join(","),
    });
    if let (Some(keys), Some(fields)) = (&environment.keys, data.as_object_mut()) {
        fields.insert("jwks.json".into(), json!(keys.as_str()));
    }
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(&names.coordinator(), Some(COORDINATOR)),
        "data": data,
    })
}
