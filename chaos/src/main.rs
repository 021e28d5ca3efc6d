//! Real processes under fire: a coordinator and up to six workers of one job, each on a machine of its own as far as the network goes,
//! a real S3 server, and whatever can go wrong with them, from a seed; and a checker that compares every committed row with the one that
//! was to come.
//!
//! ```text
//!   campaign ─deals─► fault ─strikes─► world: cast (processes), net (namespaces), storage (S3), disks
//!      │                                 │ feed: input files          │ output: committed files
//!      └─────────── report ◄─────────────┴───────── ledger ◄──────────┘ (pure: rows in, breaches out)
//! ```
//!
//! The campaign is black-box: this executable is also the job's program, built with `watershed::main` like any other; what is known of the
//! job is what its commands say and its output shows. It proves nothing that the simulator does not prove better, rule by rule and from a
//! seed; it finds what the simulator cannot have: sockets, signals, disks, a real store's answers, and the shell around the engine.
//!
//! ```text
//! watershed-chaos [--minutes N | --seconds N] [--seed S] [--workers N] [--outage SECONDS] [--loopback]
//!                 [--only WORD,…] [--plan] [--keep DIR]
//! ```

mod campaign;
mod cast;
mod disk;
mod fault;
mod feed;
mod flags;
mod job;
mod ledger;
mod net;
mod output;
mod process;
mod random;
mod report;
mod steward;
mod storage;
mod world;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use fault::{Able, Deck};
use flags::Flags;
use report::Report;
use world::World;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if matches!(
        words.first().map(String::as_str),
        Some("coordinator" | "worker" | "status" | "scale" | "stop" | "snapshots" | "explain")
    ) {
        return watershed::main("chaos", job::build);
    }
    match Flags::of(&words).and_then(|flags| campaign(&flags)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            let _closed = writeln!(std::io::stderr(), "error: {why}");
            ExitCode::from(2)
        }
    }
}

/// True if there was no breach.
fn campaign(flags: &Flags) -> Result<bool, String> {
    if flags.plan {
        let mut deck = deck(flags, Able::ALL);
        let report = Report::new(flags.seed);
        campaign::plan(&mut deck, 30).iter().for_each(|strike| report.say(strike));
        return Ok(true);
    }
    let folder =
        tempfile::Builder::new().prefix("watershed-chaos-").tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
    let mut report = Report::new(flags.seed);
    report.say(&format!("seed {}, {} s, in {}", flags.seed, flags.time.as_secs(), folder.path().display()));
    let mut world = World::new(folder.path(), flags.workers, !flags.loopback)?;
    world.missing.iter().for_each(|what| report.say(what));
    let mut deck = deck(flags, world.able());
    let outcome = campaign::run(&mut world, &mut deck, flags.time, &mut report);
    report.ends(&mut world.cast.ends);
    if let Err(why) = outcome {
        report.breach(format!("the campaign could not go on: {why}"));
    }
    for panic in panics(&world.dir.join("logs")) {
        report.breach(panic);
    }
    let clean = report.clean(&world.output.ledger);
    report.say(&report.table(&world.output.ledger));
    let io = |e: std::io::Error| format!("the report cannot be kept: {e}");
    let kept = flags.keep.clone().or_else(|| (!clean).then(|| folder.path().with_extension("failed")));
    if let Some(to) = kept {
        std::fs::create_dir_all(&to).map_err(io)?;
        report.write(&world.output.ledger, &to.join("report.json")).map_err(io)?;
        // Disks of their own go with the world.
        let copied = std::process::Command::new("cp").arg("-a").arg(world.dir.join(".")).arg(&to).status().map_err(io)?;
        report.say(&format!(
            "logs, input, output and snapshots are in {}{}",
            to.display(),
            if copied.success() { "" } else { " (in part)" }
        ));
    }
    Ok(clean)
}

fn deck(flags: &Flags, able: Able) -> Deck {
    let deck = Deck::new(flags.seed, able, flags.outage);
    flags.only.iter().fold(deck, |deck, words| deck.only(words))
}

/// Panics that did not end their process.
fn panics(logs: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(logs).into_iter().flatten().flatten();
    let said = entries.filter_map(|e| Some((e.file_name(), std::fs::read_to_string(e.path()).ok()?)));
    let panic = |(name, text): (std::ffi::OsString, String)| {
        let at = text.find("panicked at")?;
        Some(format!("{}: {}", name.to_string_lossy(), text.get(at..)?.lines().take(2).collect::<Vec<_>>().join(" ")))
    };
    said.filter_map(panic).collect()
}
