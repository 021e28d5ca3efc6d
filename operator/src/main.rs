//! `watershed-operator`: keeps the pods of StreamJobs, and rescales jobs while they run. It only steers: while it is down every job goes on.
//!
//! | file | what |
//! |---|---|
//! | `settings` | what it is told |
//! | `controller` | what is watched and what wakes what |
//! | `leader` | one of several leads, by a Lease |
//! | `reconcile` | one look at one job |
//! | `snapshots` | one look at one StreamSnapshot |
//! | `context` | what every look needs |
//! | `keys` | the API server's public keys, for the tokens of jobs |
//! | `health`, `metrics`, `log` | how it is |

mod context;
mod controller;
mod error;
mod health;
mod keys;
mod leader;
mod log;
mod metrics;
mod reconcile;
mod settings;
mod snapshots;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};

use crate::context::Context;
use crate::leader::Ended;
use crate::log::{Level, Log};
use crate::settings::Settings;

fn main() -> ExitCode {
    let arguments = settings::arguments(std::env::args(), |name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let settings = match settings::settings(arguments) {
        Ok(settings) => settings,
        Err(e) => {
            // Help is no error; both outputs may be closed.
            let _closed = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    // Two threads: the work is waiting for answers, and memory is counted.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            Log.say(Level::Error, "failed", &[("error", &format!("cannot start threads: {e}"))]);
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(settings)) {
        Ok(Ended::Asked) => ExitCode::SUCCESS,
        // Another leads now: begin anew as one that waits.
        Ok(Ended::Lost) => ExitCode::from(3),
        Err(e) => {
            Log.say(Level::Error, "failed", &[("error", &error_text(&e))]);
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes.
pub(crate) fn error_text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text.push_str(&format!(": {e}"));
        cause = e.source();
    }
    text
}

async fn run(settings: Settings) -> Result<Ended, kube::Error> {
    let client = Client::try_default().await?;
    let reporter = Reporter { controller: "watershed-operator".into(), instance: Some(settings.identity.clone()) };
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        settings,
        coordinators: reconcile::ask::Coordinators::default(),
        memory: reconcile::memory::Memory::default(),
        metrics: metrics::Metrics::default(),
        log: Log,
        keys: std::sync::Mutex::default(),
    });
    let listening = context.settings.listen;
    let served = tokio::spawn(health::serve(listening, context.clone()));
    tokio::select! {
        ended = work(context.clone()) => Ok(ended),
        failed = served => {
            let why = failed.map_or_else(|e| e.to_string(), |r| r.map_or_else(|e| e.to_string(), |()| String::new()));
            context.log.say(Level::Error, "cannot listen", &[("address", &listening.to_string()), ("error", &why)]);
            Ok(Ended::Lost)
        }
    }
}

/// Waits for what is needed, then for the lead, then works.
async fn work(context: Arc<Context>) -> Ended {
    tokio::select! {
        () = prepare(&context) => {}
        () = asked_to_end() => return Ended::Asked,
    }
    if let Some(lease) = context.settings.lease.clone() {
        let elected = leader::Elector::new(context.client.clone(), lease, context.settings.identity.clone());
        return elected.lead(&context, controller::run(context.clone()), asked_to_end()).await;
    }
    context.metrics.leader.store(true, Ordering::Relaxed);
    tokio::select! {
        () = controller::run(context.clone()) => Ended::Lost,
        () = asked_to_end() => Ended::Asked,
    }
}

/// What must be there before anything can be done: the resources, and the keys of tokens.
async fn prepare(context: &Arc<Context>) {
    controller::definitions(context).await;
    if context.settings.token_file.is_some() {
        keys::first(context).await;
        tokio::spawn(keys::keep(context.clone()));
    }
    context.metrics.definitions.store(true, Ordering::Relaxed);
}

/// SIGTERM, as a pod is ended, or Ctrl-C.
async fn asked_to_end() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
