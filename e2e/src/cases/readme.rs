//! The README's Kubernetes part, as somebody types it who has only Helm and kubectl.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::command::run;
use crate::kube::{Kube, is, number};
use crate::until::until;
use crate::world::World;

/// Where the part begins.
const HEAD: &str = "Kubernetes";

/// Every command of the part is typed, but for the installation, which was a case of its own.
pub(crate) fn first_job(world: &mut World) -> Result<()> {
    let readme = std::fs::read_to_string("README.md").context("run it from the root of the repository")?;
    let commands = commands(&readme);
    ensure!(!commands.is_empty(), "the README has no commands for {HEAD}");
    let started = Instant::now();
    for command in commands.iter().filter(|c| !c.starts_with("helm ")) {
        World::told(&format!("$ {}", command.lines().next().unwrap_or_default()));
        until(command, Duration::from_secs(60), || run("sh", &["-euc", command], None).map(Some))?;
    }
    World::told(&world.bars.note("the README's first job, typed through", format!("{:.1} s", started.elapsed().as_secs_f64())));
    // What it promises: rows in the logs, and as many workers as it was scaled to.
    let kube = Kube::new("default");
    let rows = "logs --selector watershed.dev/job=first,app.kubernetes.io/component=worker --tail=-1";
    until("rows in the logs", Duration::from_secs(60), || Ok(kube.words(rows)?.contains("+I[").then_some(())))?;
    kube.wait("streamjob first", "ready with 3 workers", Duration::from_secs(60), |j| {
        is(j, "Ready") && number(j, "/status/readyReplicas") == 3
    })?;
    kube.words("delete -f examples/kubernetes/first.yaml --wait --timeout=60s").map(drop)
}

/// The shell commands of the part about Kubernetes. A comment behind a command belongs to the reader, not to the shell.
fn commands(readme: &str) -> Vec<String> {
    let part = readme.split("\n## ").find(|p| p.lines().next().unwrap_or_default().contains(HEAD)).unwrap_or_default();
    let mut blocks = part.split("\n```sh\n").skip(1).filter_map(|b| b.split("\n```").next());
    let mut all: Vec<String> = Vec::new();
    for block in blocks.by_ref() {
        let mut open: Option<String> = None;
        for line in block.lines() {
            match open.take() {
                // A here-document goes on to its end, a line with a backslash to the next one.
                Some(text) => {
                    let text = format!("{text}\n{line}");
                    if whole(&text) { all.push(text) } else { open = Some(text) }
                }
                None if line.trim().is_empty() || line.starts_with('#') => {}
                None if whole(line) => all.push(line.to_owned()),
                None => open = Some(line.to_owned()),
            }
        }
    }
    all
}

fn whole(text: &str) -> bool {
    let end = text
        .split("<<")
        .nth(1)
        .map(|rest| rest.trim_start_matches(['-', '\'']).split(['\'', '\n', ' ']).next().unwrap_or_default());
    match end.filter(|e| !e.is_empty()) {
        Some(end) => text.lines().skip(1).any(|l| l.trim() == end),
        None => !text.ends_with('\\'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_part_about_kubernetes() {
        let readme = "# A\n\n## Laptop\n\n```sh\ncargo run\n```\n\n## On Kubernetes\n\n```sh\nhelm install w \\\n  --set x\n\n# why\n\
                      kubectl apply -f - <<'EOF'\na: 1\nEOF\nkubectl get sj   # look\n```\n\n## Next\n";
        assert_eq!(
            commands(readme),
            ["helm install w \\\n  --set x", "kubectl apply -f - <<'EOF'\na: 1\nEOF", "kubectl get sj   # look"]
        );
    }
}
