//! The nearest right name for a wrong one.
//!
//! Three sources, in this order: the names other systems use for the same thing (a user who comes from there types them by
//! habit), the names that are right at this place and spelt almost so, and the same name at another place of the manifest.

use std::collections::BTreeMap;

/// Names that users of other systems type by habit, and where the same thing is said here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("state", "spec.suspend"),
    ("upgradeMode", "spec.update.mode"),
    ("savepointTriggerNonce", "spec.snapshotNonce"),
    ("checkpointTriggerNonce", "spec.snapshotNonce"),
    ("initialSavepointPath", "spec.restoreFrom.location"),
    ("allowNonRestoredState", "spec.unmatchedState"),
    ("parallelism", "spec.replicas"),
    ("workers", "spec.replicas"),
    ("maxParallelism", "spec.keyGroups"),
    ("taskSlots", "spec.threadsPerWorker"),
    ("slots", "spec.threadsPerWorker"),
    ("checkpointInterval", "spec.snapshots.epochPeriodMilliseconds"),
    ("query", "spec.sql"),
];

/// The name of `right` that is nearest to `wrong`, if any is near.
#[must_use]
pub fn nearest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let flat = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let wrong = flat(wrong.get(..wrong.len().min(100)).unwrap_or_default());
    right
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, &flat(name)), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// Advice for an unknown field under `parent`, whose known fields are `right`.
pub(crate) fn advice(parent: &str, wrong: &str, right: &[&'static str], places: &BTreeMap<String, Vec<String>>) -> String {
    if parent.starts_with("spec")
        && let Some((_, place)) = ELSEWHERE.iter().find(|(name, _)| *name == wrong)
    {
        return format!("here this is `{place}`");
    }
    if let Some(name) = nearest(wrong, right.iter().copied()) {
        return format!("did you mean `{name}`?");
    }
    if let Some(place) = places.get(wrong).and_then(|at| at.first()) {
        return format!("this field belongs to `{place}`: check the indentation");
    }
    format!("the fields known here are: {}", right.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        let names = ["replicas", "keyGroups", "snapshots"];
        assert_eq!(nearest("replcias", names), Some("replicas"));
        assert_eq!(nearest("key_groups", names), Some("keyGroups"));
        assert_eq!(nearest("Snapshot", names), Some("snapshots"));
    }

    #[test]
    fn a_name_that_resembles_nothing_finds_nothing() {
        assert_eq!(nearest("volumes", ["replicas", "keyGroups"]), None);
        assert_eq!(nearest("", ["replicas"]), None);
        assert_eq!(nearest(&"é".repeat(200), ["replicas"]), None);
    }
}
