//! What no API does: cutting a node's power, and killing a container's process. Only where the nodes are in our hands.

use std::path::PathBuf;

use anyhow::Result;

use crate::command::run;

/// Scripts that have nodes in their hands (`e2e/cluster`).
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    scripts: PathBuf,
}

impl Machine {
    /// The scripts of a folder.
    #[must_use]
    pub(crate) fn new(scripts: PathBuf) -> Self {
        Self { scripts }
    }

    fn script(&self, name: &str, args: &[&str]) -> Result<String> {
        run(&self.scripts.join(name).to_string_lossy(), args, None)
    }

    /// A power cut. Nothing the node said last is heard.
    pub(crate) fn cut_power(&self, node: &str) -> Result<()> {
        self.script("node.sh", &["kill", number(node)]).map(drop)
    }

    /// Power is back.
    pub(crate) fn power_on(&self, node: &str) -> Result<()> {
        self.script("node.sh", &["start", number(node)]).map(drop)
    }

    /// `kill -9` of the processes of a container, by the identity that the pod's status gives.
    pub(crate) fn kill_container(&self, node: &str, container: &str) -> Result<()> {
        let id = container.rsplit('/').next().unwrap_or(container);
        self.script("kill-container.sh", &[number(node), id]).map(drop)
    }
}

/// The number at the end of a node's name.
fn number(node: &str) -> &str {
    node.trim_start_matches(|c: char| !c.is_ascii_digit())
}
