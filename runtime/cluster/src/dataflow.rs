//! Dataflows of two processes compared: a fingerprint, and for people the difference.

use watershed_runtime::graph::NodeShape;

/// The text of a dataflow: a refusal names the difference of two.
#[must_use]
pub fn shape_text(shape: &[NodeShape]) -> String {
    let state = |s: &watershed_runtime::state::StateDesc| format!(" {}: {} -> {} v{}", s.name, s.key, s.value, s.version);
    let line = |n: &NodeShape| format!("{} {:016x}{}\n", n.name, n.id.0, n.states.iter().map(state).collect::<String>());
    shape.iter().map(line).collect()
}

/// The fingerprint of a dataflow: equal dataflows have equal ones.
#[must_use]
pub fn fingerprint(shape: &[NodeShape]) -> u64 {
    let mut digest = watershed_runtime::key::digest();
    digest.update(shape_text(shape).as_bytes());
    digest.digest()
}

/// The lines that only one of two dataflows has.
#[must_use]
pub fn difference(here: &str, there: &str) -> String {
    let only = |a: &str, b: &str| a.lines().filter(|l| !b.lines().any(|m| m == *l)).map(str::to_owned).collect::<Vec<_>>();
    let (mine, its) = (only(here, there), only(there, here));
    format!("only the coordinator's job has [{}]; only the worker's has [{}]", mine.join("; "), its.join("; "))
}

#[cfg(test)]
mod tests {
    use watershed_runtime::graph::NodeId;

    use super::*;

    #[test]
    fn a_difference_names_what_only_one_side_has() {
        let node = |id, name: &str| NodeShape { id: NodeId(id), name: name.into(), states: Vec::new() };
        let (here, there) = (vec![node(1, "words"), node(2, "count")], vec![node(1, "words"), node(3, "sum")]);
        assert_ne!(fingerprint(&here), fingerprint(&there));
        let said = difference(&shape_text(&here), &shape_text(&there));
        assert_eq!(said, "only the coordinator's job has [count 0000000000000002]; only the worker's has [sum 0000000000000003]");
    }
}
