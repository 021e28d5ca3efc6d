//! The settings of the operator: flags and variables, resolved once. No other file reads the process environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, Command, value_parser};

/// The settings of the operator.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The image of jobs that name none.
    pub(crate) worker_image: String,
    /// The namespaces whose jobs are reconciled; none means all.
    pub(crate) namespaces: Vec<String>,
    /// The namespaces that the metrics of jobs may be collected from; none means all.
    pub(crate) metrics_namespaces: Vec<String>,
    /// The address of health and metrics.
    pub(crate) listen: SocketAddr,
    /// The file of the token for coordinators.
    pub(crate) token_file: Option<PathBuf>,
    /// The operator's account, as coordinators see it: `system:serviceaccount:NAMESPACE:NAME`.
    pub(crate) subject: Option<String>,
    /// The operator's own namespace.
    pub(crate) namespace: Option<String>,
    /// The name of this process among the operator's pods.
    pub(crate) identity: String,
    /// The lease of the leader; none means that this is the only operator.
    pub(crate) lease: Option<LeaseSettings>,
    /// The interval at which each job is reconciled although nothing has happened.
    pub(crate) resync: Duration,
    /// The time that one reconciliation may take.
    pub(crate) deadline: Duration,
    /// The number of jobs that are reconciled at a time.
    pub(crate) concurrency: u16,
}

/// The lease of the leader.
#[derive(Clone, Debug)]
pub(crate) struct LeaseSettings {
    /// The namespace of the lease.
    pub(crate) namespace: String,
    /// The name of the lease.
    pub(crate) name: String,
    /// The time without renewal after which another process may take the lease.
    pub(crate) duration: Duration,
    /// The time without success after which the leader gives up.
    pub(crate) renew_deadline: Duration,
    /// The interval of renewals and attempts.
    pub(crate) retry: Duration,
}

/// The command line. Each flag may be given as a variable: `WATERSHED_` and the flag's name in capitals.
pub(crate) fn command() -> Command {
    let flag = |name: &'static str, shown: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(shown).default_value(default).help(help)
    };
    let seconds = |name: &'static str, default: &'static str, help: &'static str| {
        flag(name, "SECONDS", default, help).value_parser(value_parser!(u64).range(1..=3600))
    };
    Command::new("watershed-operator")
        .about("Keeps the pods of StreamJobs, and rescales jobs while they run")
        .arg(flag("worker-image", "IMAGE", "watershed:latest", "The image of jobs that name none"))
        .arg(flag("watch-namespaces", "A,B", "", "Namespaces whose jobs are reconciled [all]"))
        .arg(flag("metrics-namespaces", "A,B", "", "Namespaces that the metrics of jobs may be collected from [all]"))
        .arg(
            flag("listen", "ADDR", "0.0.0.0:8080", "Where /healthz, /readyz and /metrics are")
                .value_parser(value_parser!(SocketAddr)),
        )
        .arg(flag("token-file", "FILE", "", "The token it shows to coordinators [none]"))
        .arg(flag("namespace", "NAME", "", "The operator's own namespace [that of its service account]"))
        .arg(flag("service-account", "NAME", "", "The operator's own service account"))
        .arg(flag("identity", "NAME", "", "Who it is among the operator's pods [the host's name]"))
        .arg(flag("lease", "NAME", "", "The lease of the leader [none: this is the only operator]"))
        .arg(seconds("lease-duration", "15", "After how long another may take the lease"))
        .arg(seconds("lease-renew-deadline", "10", "After how long without renewal the leader gives up"))
        .arg(seconds("lease-retry", "2", "How often the lease is renewed or tried"))
        .arg(seconds("resync", "300", "How often each job is reconciled although nothing has happened"))
        .arg(seconds("deadline", "30", "How long one reconcile may take"))
        .arg(
            flag("concurrency", "N", "8", "How many jobs are reconciled at a time")
                .value_parser(value_parser!(u16).range(1..=256)),
        )
}

/// The arguments of the process, and for flags that were not typed the variables that are set.
pub(crate) fn arguments(typed: impl IntoIterator<Item = String>, variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut all: Vec<String> = typed.into_iter().collect();
    let given: Vec<String> =
        all.iter().filter_map(|a| a.strip_prefix("--")).map(|a| a.split('=').next().unwrap_or(a).to_owned()).collect();
    for arg in command().get_arguments() {
        let name = arg.get_id().as_str();
        let variable = variable(&format!("WATERSHED_{}", name.to_uppercase().replace('-', "_")));
        if let (Some(value), false) = (variable, given.iter().any(|g| g == name)) {
            all.push(format!("--{name}={value}"));
        }
    }
    all
}

/// The settings that follow from the arguments.
pub(crate) fn settings(arguments: Vec<String>) -> Result<Settings, clap::Error> {
    let typed = command().try_get_matches_from(arguments)?;
    let text = |name: &str| typed.get_one::<String>(name).cloned().filter(|t| !t.is_empty());
    let seconds = |name: &str| Duration::from_secs(typed.get_one::<u64>(name).copied().unwrap_or(10));
    let namespace = text("namespace");
    let subject = text("service-account").zip(namespace.clone()).map(|(name, ns)| format!("system:serviceaccount:{ns}:{name}"));
    let lease = text("lease").map(|name| LeaseSettings {
        namespace: namespace.clone().unwrap_or_else(|| "default".into()),
        name,
        duration: seconds("lease-duration"),
        renew_deadline: seconds("lease-renew-deadline"),
        retry: seconds("lease-retry"),
    });
    let list = |name: &str| -> Vec<String> {
        let typed = text(name).unwrap_or_default();
        typed.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect()
    };
    Ok(Settings {
        worker_image: text("worker-image").unwrap_or_default(),
        namespaces: list("watch-namespaces"),
        metrics_namespaces: list("metrics-namespaces"),
        listen: typed.get_one::<SocketAddr>("listen").copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 8080))),
        token_file: text("token-file").map(PathBuf::from),
        subject,
        namespace,
        identity: text("identity").unwrap_or_else(|| format!("operator-{}", std::process::id())),
        lease,
        resync: seconds("resync"),
        deadline: seconds("deadline"),
        concurrency: typed.get_one::<u16>("concurrency").copied().unwrap_or(8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_flag_counts_more_than_a_variable() {
        let typed = ["o", "--worker-image=a:1"].map(str::to_owned);
        let variable = |name: &str| match name {
            "WATERSHED_WORKER_IMAGE" => Some("b:2".into()),
            "WATERSHED_WATCH_NAMESPACES" => Some("x, y".into()),
            "WATERSHED_LEASE" => Some("l".into()),
            "WATERSHED_NAMESPACE" => Some("ns".into()),
            "WATERSHED_SERVICE_ACCOUNT" => Some("op".into()),
            _ => None,
        };
        let s = settings(arguments(typed, variable)).unwrap();
        assert_eq!((s.worker_image.as_str(), s.namespaces), ("a:1", vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(s.lease.unwrap().namespace, "ns");
        assert_eq!(s.subject.unwrap(), "system:serviceaccount:ns:op");
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
        assert!(settings(vec!["o".into(), "--resync=0".into()]).is_err());
    }
}
