//! Messages in words, for the record of a run.

use watershed_cluster::ToWorker;
use watershed_runtime::slot::Command;

pub(super) fn to_worker(message: &ToWorker) -> String {
    match message {
        ToWorker::Begin(b) => format!("begin from epoch {} with {:?}", b.manifest.epoch, b.manifest.members),
        ToWorker::Command(slot, Command::Cut(p)) => {
            format!("slot {}: cut batch {} v{} {}->{}", slot.0, p.batch, p.version, p.source.0, p.target.0)
        }
        ToWorker::Command(slot, Command::Warm(p)) => {
            format!("slot {}: warm batch {} {}->{}", slot.0, p.batch, p.source.0, p.target.0)
        }
        ToWorker::Command(slot, command) => format!("slot {}: {command:?}", slot.0),
        ToWorker::Start(new) => format!("start slot {} in epoch {}", new.id.0, new.epoch),
        ToWorker::Release(slot) => format!("release slot {}", slot.0),
        ToWorker::Members(members) => format!("{} workers are there", members.len()),
        ToWorker::End(why) => format!("the end: {why:?}"),
        ToWorker::Released(why) => format!("it may go: {why}"),
    }
}
