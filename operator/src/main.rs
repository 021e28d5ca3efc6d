//! `watershed-operator`: keeps the pods of StreamJobs, and rescales jobs while they run. The operator only steers: while it is down every
//! job goes on.
//!
//! | file | content |
//! |---|---|
//! | `settings` | flags and variables |
//! | `controller` | the watches, and the reconciliations they cause |
//! | `leader` | the election of one of several operators, by a Lease |
//! | `reconcile` | one reconciliation of one job |
//! | `snapshots` | one reconciliation of one StreamSnapshot |
//! | `context` | what every reconciliation needs |
//! | `issuer_keys` | the API server's public keys, for the tokens of jobs |
//! | `health`, `readiness`, `metrics`, `log` | the state of the operator itself |

mod context;
mod controller;
mod error;
mod health;
mod issuer_keys;
mod leader;
mod log;
mod metrics;
mod readiness;
mod reconcile;
mod settings;
mod snapshots;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};

use crate::context::Context;
use crate::error::error_text;
use crate::leader::Exit;
use crate::log::{Level, Log};
use crate::settings::Settings;

fn main() -> ExitCode {
    let arguments = settings::arguments(std::env::args(), |name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let settings = match settings::settings(arguments) {
        Ok(settings) => settings,
        Err(e) => {
            // The help text is no error; both outputs may be closed.
            let _closed = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    // Two threads are enough: the work is waiting for answers, and memory is limited.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            Log.event(Level::Error, "failed", &[("error", &format!("cannot start threads: {e}"))]);
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(settings)) {
        Ok(Exit::Requested) => ExitCode::SUCCESS,
        // Another process leads now: this one starts again and waits.
        Ok(Exit::Lost) => ExitCode::from(3),
        Err(e) => {
            Log.event(Level::Error, "failed", &[("error", &error_text(&e))]);
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<Exit, kube::Error> {
    let client = Client::try_default().await?;
    let reporter = Reporter { controller: "watershed-operator".into(), instance: Some(settings.identity.clone()) };
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        settings,
        coordinators: reconcile::client::Coordinators::default(),
        memory: reconcile::memory::Memory::default(),
        metrics: metrics::Metrics::default(),
        readiness: readiness::Readiness::default(),
        log: Log,
        keys: std::sync::Mutex::default(),
    });
    let listening = context.settings.listen;
    let served = tokio::spawn(health::serve(listening, context.clone()));
    tokio::select! {
        ended = work(context.clone()) => Ok(ended),
        failed = served => {
            let why = failed.map_or_else(|e| e.to_string(), |r| r.map_or_else(|e| e.to_string(), |()| String::new()));
            context.log.event(Level::Error, "cannot listen", &[("address", &listening.to_string()), ("error", &why)]);
            Ok(Exit::Lost)
        }
    }
}

/// Waits for the prerequisites, then for the lead, and then reconciles jobs.
async fn work(context: Arc<Context>) -> Exit {
    tokio::select! {
        () = prepare(&context) => {}
        () = asked_to_end() => return Exit::Requested,
    }
    if let Some(lease) = context.settings.lease.clone() {
        let elected = leader::Elector::new(context.client.clone(), lease, context.settings.identity.clone());
        return elected.lead(&context, controller::run(context.clone()), asked_to_end()).await;
    }
    context.metrics.leader.store(true, Ordering::Relaxed);
    tokio::select! {
        () = controller::run(context.clone()) => Exit::Lost,
        () = asked_to_end() => Exit::Requested,
    }
}

/// Waits for the prerequisites: the definitions of the resources, and the keys of tokens.
async fn prepare(context: &Arc<Context>) {
    controller::definitions(context).await;
    if context.settings.token_file.is_some() {
        issuer_keys::first(context).await;
        tokio::spawn(issuer_keys::keep(context.clone()));
    }
    context.metrics.definitions.store(true, Ordering::Relaxed);
}

/// Waits for SIGTERM, which ends a pod, or for Ctrl-C.
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
