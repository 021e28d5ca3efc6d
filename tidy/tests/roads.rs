//! One road: what a slot begins with, a restart's plan, a state file, and the claim of a term are made in one place each.
//!
//! A second place would be a copy of meaning, which no tool that compares lines can see: a simulator that has one checks something else
//! than what runs. So the words by which such things are made are allowed in the crate that owns them and in the tests of its models, and
//! nowhere else.

use watershed_tidy::{files, none};

/// The model of adoption steps the coordinator of a run and its journals, which is what it checks, and no manager.
const CREW: &str = "runtime/sim/src/model/crew.rs";

/// Words that construct something, the thing that they construct, and the folders that may use them.
const ROADS: &[(&str, &str, &[&str])] = &[
    ("SlotConfig {", "what a slot begins with: call `SlotConfig::restored` or `SlotConfig::joining`", &["runtime/src/"]),
    ("restart::Job {", "a restart's plan: call `restart::Job::new`", &["runtime/src/"]),
    ("write_file(", "a state file: call `protocol::state_file::delta`", &["runtime/src/", "fuzz/"]),
    ("FileInfo {", "a state file: call `protocol::state_file::{delta, merged}`", &["runtime/src/", "fuzz/"]),
    ("object(\"state/", "the name of a state file: call `protocol::state_file`", &["runtime/src/"]),
    // The model of the log steps its reader and its writer one by one.
    (
        "LogReader::new(",
        "a scan of the log: call `protocol::claim::LogScan`",
        &["runtime/src/", "runtime/sim/src/model/log.rs", "fuzz/"],
    ),
    ("LogWriter::new(", "a claim: call `protocol::claim::Claim`", &["runtime/src/", "runtime/sim/src/model/log.rs", CREW]),
    ("Coordinator::adopt(", "a take-over: step a `JobManager`", &["runtime/src/", "runtime/cluster/src/", CREW]),
    ("Coordinator::new(", "a run: step a `JobManager`", &["runtime/src/", "runtime/cluster/src/", CREW]),
    (
        "WorkerJournal::new(",
        "a worker's journal: step a `TaskManager`",
        &["runtime/src/", "runtime/cluster/src/", "worker/src/cluster/orders.rs", CREW],
    ),
    ("merge_due(", "maintenance: call `protocol::maintenance::Maintenance`", &["runtime/src/"]),
    ("gc::collect(", "maintenance: call `protocol::maintenance::Collect`", &["runtime/src/"]),
];

#[test]
fn nothing_is_made_by_a_road_of_its_own() {
    let mut breaches = Vec::new();
    for file in files(&["rs"]).into_iter().filter(|f| !f.path.starts_with("tidy/")) {
        let (name, text) = (&file.path, &file.text);
        for (words, what, places) in ROADS {
            if places.iter().any(|place| name.starts_with(place)) {
                continue;
            }
            for (at, _) in text.lines().enumerate().filter(|(_, line)| line.contains(words) && !line.contains("use ")) {
                breaches.push(format!("{name}:{}: `{words}`: {what}", at + 1));
            }
        }
    }
    none(&breaches, "things that are made by a road of their own");
}
