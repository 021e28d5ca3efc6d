//! The pod templates of a revision, coordinator and worker, as its ConfigMap stores them.

use serde_json::{Value, json};

use super::environment::Environment;
use super::{coordinator, workers};
use crate::reconcile::names::Names;
use crate::reconcile::validate::Validated;

/// The pod templates of a new revision.
pub(crate) fn templates(validated: &Validated, names: &Names, environment: &Environment) -> Value {
    json!({
        "coordinator": coordinator::template(validated, names, environment),
        "worker": workers::template(validated, names, environment),
    })
}
