//! The way to a coordinator: flags and variables of an address, a number of workers, certificates and tokens.
//!
//! Each flag may also be given as a variable of the environment, `WATERSHED_` and its name in capitals: that is how a pod sets them. What
//! is typed counts more.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, ArgMatches, value_parser};
use watershed_runtime::error::{Error, Kind, Result};

use crate::LocalJob;
use crate::transport::{Auth, Network, Tls, TlsFiles, Token, Verifier};

pub(super) fn value(name: &'static str, shown: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(shown).help(help)
}

/// `--replicas N`.
#[must_use]
pub(super) fn replicas(help: &'static str) -> Arg {
    value("replicas", "N", help).value_parser(value_parser!(u32).range(1..=4096))
}

pub(super) fn coordinator_at() -> Arg {
    value("coordinator", "ADDR", "Where the coordinator listens [default: where `run --replicas` put it]")
}

pub(super) fn network_args() -> [Arg; 8] {
    [
        value("tls-ca", "FILE", "Certificates of who may talk to this process; with --tls-cert and --tls-key"),
        value("tls-cert", "FILE", "This process's certificate"),
        value("tls-key", "FILE", "Its key"),
        value("tls-name", "NAME", "The name in every certificate of the job [default: the host that is dialled]"),
        value("token-file", "FILE", "A file with the token that processes of the job show each other"),
        value("token-keys", "FILE", "Public keys (JWKS) that others' tokens are checked with [default: all have the same token]"),
        value("token-audience", "NAME", "Who such a token must be for [default: watershed]"),
        value("token-subjects", "A,B", "Whose tokens are let in"),
    ]
}

/// Flags by which a coordinator is reached.
#[must_use]
pub(super) fn reach_args() -> Vec<Arg> {
    let mut args = vec![coordinator_at()];
    args.extend(network_args());
    args
}

/// The variable of a flag.
fn variable(flag: &str) -> String {
    format!("WATERSHED_{}", flag.to_uppercase().replace('-', "_"))
}

/// A flag, or its variable.
pub(super) fn given(typed: &ArgMatches, name: &str) -> Option<String> {
    let flag = typed.try_get_one::<String>(name).ok().flatten().cloned();
    flag.or_else(|| std::env::var(variable(name)).ok().filter(|v| !v.is_empty()))
}

pub(super) fn number<N: std::str::FromStr + Copy + Send + Sync + 'static>(typed: &ArgMatches, name: &str) -> Result<Option<N>> {
    if let Some(n) = typed.try_get_one::<N>(name).ok().flatten() {
        return Ok(Some(*n));
    }
    let variable = variable(name);
    let Ok(text) = std::env::var(&variable) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Error::new(Kind::Invalid, format!("`{text}` is not a number")).at(variable))
}

pub(super) fn network(typed: &ArgMatches) -> Result<Network> {
    let mut network = Network::default();
    if let Some(file) = given(typed, "token-file") {
        let auth = Auth::new(Token::File(PathBuf::from(file)))?;
        network.auth = Some(Arc::new(match given(typed, "token-keys") {
            None => auth,
            Some(keys) => {
                let audience = given(typed, "token-audience").unwrap_or_else(|| "watershed".into());
                let subjects = given(typed, "token-subjects").unwrap_or_default();
                let subjects = subjects.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
                auth.checked_by(Verifier::new(PathBuf::from(keys), audience, subjects)?)
            }
        }));
    }
    let files = [given(typed, "tls-ca"), given(typed, "tls-cert"), given(typed, "tls-key")];
    network.tls = match files {
        [None, None, None] => None,
        [Some(ca), Some(cert), Some(key)] => Some(Arc::new(Tls::new(TlsFiles {
            ca: ca.into(),
            cert: cert.into(),
            key: key.into(),
            name: given(typed, "tls-name"),
        })?)),
        _ => {
            return Err(Error::new(Kind::Invalid, "of --tls-ca, --tls-cert and --tls-key some are missing")
                .advise("give all three, or none for plain text"));
        }
    };
    Ok(network)
}

/// The coordinator that `run --replicas` has written down, and the place of its job's snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenDown {
    pub(super) address: String,
    /// None is the default directory.
    pub(super) storage: Option<String>,
}

impl WrittenDown {
    /// The file of a job: beside the default directory of its snapshots, wherever these are.
    pub(super) fn file(job: &str) -> PathBuf {
        LocalJob::default_storage(job).with_file_name(format!("{job}.coordinator"))
    }

    /// Two lines, of which the second may be missing.
    pub(super) fn text(&self) -> String {
        let storage = self.storage.iter().map(|s| format!("{s}\n"));
        std::iter::once(format!("{}\n", self.address)).chain(storage).collect()
    }

    fn of(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::to_owned);
        Some(Self { address: lines.next()?, storage: lines.next() })
    }

    /// The one of a job, if there is one.
    pub(super) fn read(job: &str) -> Option<Self> {
        std::fs::read_to_string(Self::file(job)).ok().and_then(|text| Self::of(&text))
    }
}

/// The typed number of workers of `scale` or `run`, if any.
#[must_use]
pub fn typed_replicas(typed: &ArgMatches) -> Option<u32> {
    typed.try_get_one::<u32>("replicas").ok().flatten().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinator_is_read_as_it_was_written_down() {
        for storage in [None, Some("s3://bucket/j".to_owned())] {
            let written = WrittenDown { address: "127.0.0.1:7100".into(), storage };
            assert_eq!(WrittenDown::of(&written.text()), Some(written));
        }
        assert_eq!(WrittenDown::of(""), None);
    }
}
