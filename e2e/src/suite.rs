//! Runs cases one after the other, says how each ended, and prints the bars.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::cases::CASES;
use crate::dump::{brief, dump};
use crate::say;
use crate::settings::Settings;
use crate::world::World;

/// What a case needs that not every cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Cluster,
    /// Nodes whose power can be cut.
    Machine,
}

/// A case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it shows, as a rule.
    pub(crate) rule: &'static str,
    /// Whether it is part of the short run.
    pub(crate) smoke: bool,
    /// What it needs.
    pub(crate) needs: Needs,
    /// What it does.
    pub(crate) run: fn(&mut World) -> Result<()>,
}

/// Prints the cases.
pub(crate) fn list() {
    for case in CASES {
        say(&format!("{:<14}{} {}", case.name, if case.smoke { "smoke" } else { "     " }, case.rule));
    }
}

/// Runs the cases named, or all; `--smoke` names the short run's.
#[must_use]
pub(crate) fn run(names: &[&str]) -> ExitCode {
    let smoke = names.contains(&"--smoke");
    let named: Vec<&str> = names.iter().copied().filter(|n| !n.starts_with("--")).collect();
    if let Some(unknown) = named.iter().find(|n| CASES.iter().all(|c| c.name != **n)) {
        say(&format!("there is no case `{unknown}`: --list names them"));
        return ExitCode::from(2);
    }
    let wanted = CASES.iter().filter(|c| if named.is_empty() { !smoke || c.smoke } else { named.contains(&c.name) });
    let mut world = World::new(Settings::from_environment());
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), 0);
    let begun = Instant::now();
    for case in wanted {
        if case.needs == Needs::Machine && world.machine.is_none() {
            say(&format!("skip  {}: the nodes are not in our hands (WATERSHED_E2E_MACHINE)", case.name));
            skipped += 1;
            continue;
        }
        say(&format!("case  {}: {}", case.name, case.rule));
        let started = Instant::now();
        match (case.run)(&mut world) {
            Ok(()) => {
                passed += 1;
                say(&format!("ok    {} in {:.1} s", case.name, started.elapsed().as_secs_f64()));
            }
            Err(e) => {
                say(&format!(
                    "FAIL  {} after {:.1} s: {e:#}\n{}",
                    case.name,
                    started.elapsed().as_secs_f64(),
                    brief(&world.kube)
                ));
                let folder = world.settings.dump.join(case.name);
                let written = dump(&folder, &[&world.kube, &world.system]);
                say(&format!(
                    "      the world is in {} {}",
                    folder.display(),
                    written.err().map_or(String::new(), |e| e.to_string())
                ));
                failed.push(case.name);
            }
        }
    }
    let (table, missed) = world.bars.table();
    say(&format!("\nmeasured, with {missed} bars missed:\n{table}"));
    say(&format!("whole run: {:.0} s; failed: {}", begun.elapsed().as_secs_f64(), failed.join(" ")));
    say(&format!("{passed} passed, {} failed, {skipped} skipped", failed.len()));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
