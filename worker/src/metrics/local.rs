//! A job in one process. Ready: it runs and every slot answers.

use super::page::Page;
use super::slots;
use crate::http::Watched;
use crate::local::{Handle, Progress};
use crate::telemetry::NodeName;

/// A job in one process, as monitors see it.
#[derive(Debug)]
pub(crate) struct LocalWatch {
    pub(crate) job: String,
    pub(crate) handle: Handle,
    pub(crate) names: Vec<NodeName>,
}

impl LocalWatch {
    fn status(&self) -> Result<Progress, String> {
        self.handle.status().ok_or_else(|| "the job is over".to_owned())
    }
}

impl Watched for LocalWatch {
    fn metrics(&self) -> Result<String, String> {
        Ok(text(&self.job, &self.status()?, &self.names))
    }

    // The manager works beside the slots, which are what can hang, and these answer `/readyz`.
    fn alive(&self) -> Result<(), String> {
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        let s = self.status()?;
        let (answer, all) = (s.nodes.len(), s.slots.len());
        if answer >= all { Ok(()) } else { Err(format!("{answer} of {all} slots answer")) }
    }
}

fn text(job: &str, status: &Progress, names: &[NodeName]) -> String {
    let mut page = Page::new(job);
    page.gauge("watershed_term", "The coordinator's term.", status.term);
    page.gauge("watershed_epoch", "The last published epoch.", status.epoch);
    page.gauge("watershed_slots", "Slots that take part.", status.slots.len());
    page.gauge("watershed_settled", "1 if no key group is about to move.", u8::from(status.settled));
    page.gauge("watershed_waiting", "For how much the job waits, besides for rows.", status.waiting.len());
    if let Some(age) = status.epoch_age {
        page.gauge("watershed_snapshot_age_seconds", "Since the last epoch was published.", age as f64 / 1e6);
    }
    let mut groups = page.family("watershed_slot_key_groups", "gauge", "Key groups that a slot owns.");
    for (slot, n) in status.groups() {
        groups.sample(&[("slot", &slot)], n);
    }
    slots::nodes(&mut page, &status.nodes, names);
    slots::moves(&mut page, &status.moves);
    page.text()
}

#[cfg(test)]
mod tests {
    use watershed_cluster::JobStatus;
    use watershed_runtime::graph::NodeId;
    use watershed_runtime::slot::{MoveStats, NodeStats};
    use watershed_runtime::time::Time;

    use super::*;
    use crate::telemetry::NodeKind;

    #[test]
    fn every_sample_has_its_type_and_its_labels_are_escaped() {
        let stats = NodeStats {
            id: NodeId(7),
            rows_in: 3,
            rows_out: 2,
            late: 1,
            watermark: Time::MAX,
            queued: 0,
            entries: 5,
            bytes: 80,
            progress: (0, 0),
        };
        let moves = MoveStats { batches_in: 3, gates: [0, 2, 0, 0, 0, 0, 0, 0, 0, 1], ..MoveStats::default() };
        let job = JobStatus { epoch: 9, slots: vec![0], ..JobStatus::default() };
        let status = Progress { job, nodes: vec![(0, vec![stats])], moves: vec![(0, moves)] };
        let names = [NodeName { name: "a \"b\"".into(), id: 7, kind: NodeKind::Sink, ends: false }];
        let page = text("j", &status, &names);
        assert!(page.contains("watershed_epoch{job=\"j\"} 9\n"), "{page}");
        let sample =
            "watershed_node_rows_in_total{job=\"j\",node=\"a \\\"b\\\"\",id=\"0000000000000007\",role=\"sink\",slot=\"0\"} 3\n";
        assert!(page.contains(sample), "{page}");
        // Buckets hold what came before them too.
        for (le, n) in [("0.001", 0), ("0.002", 2), ("0.5", 2), ("+Inf", 3)] {
            let bucket = format!("watershed_gate_seconds_bucket{{job=\"j\",slot=\"0\",le=\"{le}\"}} {n}\n");
            assert!(page.contains(&bucket), "{bucket} in {page}");
        }
        assert!(!page.contains("watermark_lag_seconds{"), "an input that has ended is not behind: {page}");
        for line in page.lines().filter(|l| !l.starts_with('#')) {
            let name = line.split('{').next().unwrap();
            let name = name.strip_suffix("_bucket").or_else(|| name.strip_suffix("_count")).unwrap_or(name);
            assert!(page.contains(&format!("# TYPE {name} ")), "{name}");
        }
    }
}
