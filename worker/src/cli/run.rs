//! `run`: a job with everything around it. Order matters: the storage is opened and the job claimed before anybody is told that it runs,
//! and the socket, the page and the line are gone before its end is told.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use watershed_runtime::error::Result;
use watershed_runtime::graph::Graph;

use super::Settings;
use super::exit::exit_code;
use super::signals::{EndsWhenTold, Watch};
use crate::local::{Outcome, Ready};
use crate::telemetry::NodeName;
use crate::telemetry::line::Line;
use crate::telemetry::log::Log;

/// Runs a job until it has finished, is stopped or fails; says so on standard error. `early`: signals until the job hears them itself.
#[must_use]
pub fn run(graph: Graph, settings: &Settings, early: EndsWhenTold) -> ExitCode {
    let log = Arc::new(Log::new(settings.format, &settings.name));
    match run_job(graph, settings, &log, early) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log.failed(&e);
            ExitCode::from(exit_code(e.kind()))
        }
    }
}

fn run_job(graph: Graph, settings: &Settings, log: &Arc<Log>, early: EndsWhenTold) -> Result<()> {
    let names = NodeName::all(&graph);
    let ready = settings.job(graph)?.prepare()?;
    let handle = ready.handle();
    let began = Instant::now();
    let outcome = {
        let _signals = Watch::start(log, handle.clone())?;
        drop(early);
        #[cfg(feature = "grpc")]
        let _served = match super::serve::Served::start(settings, handle.clone(), &names, log) {
            Ok(served) => Some(served),
            Err(e) => {
                // The job itself needs no socket.
                log.event("warning", &watershed_runtime::error::explain(&e), json!({ "message": e.to_string() }));
                None
            }
        };
        #[cfg(feature = "http")]
        let http = serve(settings, &handle, &names)?;
        #[cfg(feature = "http")]
        let page = http.as_ref().map(|h| h.address().to_string());
        #[cfg(not(feature = "http"))]
        let page: Option<String> = None;
        started(log, settings, &ready, page);
        let _line = (!settings.quiet).then(|| Line::show(log, handle.clone(), names));
        let place = ready.place().to_owned();
        let told = log.clone();
        (ready.tells(move |sentence| told.event("run", sentence, json!({ "message": sentence }))).run()?, place)
    };
    ended(log, outcome, began);
    Ok(())
}

#[cfg(feature = "http")]
fn serve(settings: &Settings, handle: &crate::Handle, names: &[NodeName]) -> Result<Option<crate::http::HttpServer>> {
    let start = |at: &String| {
        let (job, handle, names) = (settings.name.clone(), handle.clone(), names.to_vec());
        crate::http::HttpServer::start(at, crate::metrics::LocalWatch { job, handle, names })
    };
    settings.http.as_ref().map(start).transpose()
}

fn started(log: &Log, settings: &Settings, ready: &Ready, page: Option<String>) {
    let (found, slots, place) = (ready.restored(), settings.slots, ready.place());
    let from = match found.epoch {
        0 => "begins".to_owned(),
        epoch => format!("goes on from epoch {epoch}"),
    };
    let mut sentence = format!("{from} with {slots} slot{}, snapshots in {place}", if slots == 1 { "" } else { "s" });
    if let Some(page) = &page {
        sentence.push_str(&format!(", http://{page}/metrics"));
    }
    if found.epoch > 0 && !found.empty.is_empty() {
        sentence.push_str(&format!("; new and empty: {}", found.empty.join(", ")));
    }
    if !found.dropped.is_empty() {
        sentence.push_str(&format!("; dropped: {}", found.dropped.join(", ")));
    }
    let fields = json!({
        "epoch": found.epoch, "slots": slots, "storage": place, "http": page,
        "kept": found.kept, "empty": found.empty, "dropped": found.dropped,
    });
    log.event("started", &sentence, fields);
}

fn ended(log: &Log, (outcome, place): (Outcome, String), began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let fields = json!({ "seconds": (seconds * 1000.0).round() / 1000.0, "storage": place });
    match outcome {
        Outcome::Finished => log.event("finished", &format!("finished after {seconds:.1} s"), fields),
        Outcome::Stopped => {
            log.event("stopped", &format!("stopped after {seconds:.1} s; the next start goes on from here"), fields);
        }
        Outcome::AlreadyFinished => {
            log.event("finished", "had finished before: nothing to do; --fresh runs it again", fields);
        }
    }
}
