//! The bearer token: who may ask for a job or take part in it. Either all processes have one token, or each shows its own and it is
//! checked by its signature ([`Verifier`]).
//!
//! A token from a file is read again when the file changes (a mounted secret does), looked at once a request: requests are rare, streams
//! last. Comparing takes the same time wherever the difference is.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tonic::Status;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_wire::tonic;

use super::jwt::Verifier;

/// The place of the token.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// Given outright, as from an environment variable.
    Value(String),
    /// In this file; blanks at its ends do not count.
    File(PathBuf),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Token::Value"),
            Self::File(path) => write!(f, "Token::File({})", path.display()),
        }
    }
}

/// A token as it is now.
pub struct Auth {
    token: Token,
    verifier: Option<Verifier>,
    read: Mutex<Option<(Stamp, String)>>,
}

type Stamp = (SystemTime, u64);

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({:?})", self.token)
    }
}

impl Auth {
    /// Reads the token; one that is empty or cannot be read is refused.
    pub fn new(token: Token) -> Result<Self> {
        let auth = Self { token, verifier: None, read: Mutex::new(None) };
        auth.current()?;
        Ok(auth)
    }

    /// The tokens of others are not this one: they are checked by this.
    #[must_use]
    pub fn checked_by(mut self, verifier: Verifier) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// The token as it is now. A file that is gone for a moment leaves the last one.
    pub fn current(&self) -> Result<String> {
        let path = match &self.token {
            Token::Value(value) if value.is_empty() => return Err(empty("the given token")),
            Token::Value(value) => return Ok(value.clone()),
            Token::File(path) => path,
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = std::fs::metadata(path).and_then(|m| Ok((m.modified()?, m.len())));
        if let (Ok(stamp), Some((known, token))) = (&looked, &*read)
            && stamp == known
        {
            return Ok(token.clone());
        }
        match (looked.and_then(|stamp| Ok((stamp, std::fs::read_to_string(path)?))), &*read) {
            (Ok((stamp, text)), _) if !text.trim().is_empty() => {
                let token = text.trim().to_owned();
                *read = Some((stamp, token.clone()));
                Ok(token)
            }
            (_, Some((_, last))) => Ok(last.clone()),
            (Ok(_), None) => Err(empty(&path.display().to_string())),
            (Err(e), None) => {
                Err(Error::new(Kind::Unavailable, format!("cannot read the token in {}", path.display())).because(e))
            }
        }
    }

    /// True if a request with this `authorization` header may pass.
    pub(super) fn check(&self, header: Option<&[u8]>) -> Result<(), Status> {
        let Some(header) = header else {
            return Err(Status::unauthenticated("a bearer token is needed: give the one that the coordinator was given"));
        };
        if let Some(verifier) = &self.verifier {
            let shown = std::str::from_utf8(header).ok().and_then(|h| h.strip_prefix("Bearer ")).unwrap_or_default();
            return verifier.check(shown.trim()).map_err(Status::unauthenticated);
        }
        let token = self.current().map_err(|e| Status::unavailable(e.to_string()))?;
        if same(header, format!("Bearer {token}").as_bytes()) {
            Ok(())
        } else {
            Err(Status::unauthenticated("the bearer token is not the one that this process was given"))
        }
    }
}

fn empty(place: &str) -> Error {
    Error::new(Kind::Invalid, "the token is empty").at(place).advise("any text of one line will do; make it long and random")
}

/// Equality of two texts, in a time that tells only their lengths.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_file_is_read_again_when_it_changes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\n").unwrap();
        let auth = Auth::new(Token::File(file.path().to_owned())).unwrap();
        assert!(auth.check(Some(b"Bearer one")).is_ok());
        std::fs::write(file.path(), "another\n").unwrap();
        assert!(auth.check(Some(b"Bearer one")).is_err());
        assert!(auth.check(Some(b"Bearer another")).is_ok());
        std::fs::remove_file(file.path()).unwrap();
        assert!(auth.check(Some(b"Bearer another")).is_ok());
    }

    #[test]
    fn no_token_and_an_empty_token_are_refused() {
        let auth = Auth::new(Token::Value("one".into())).unwrap();
        assert!(auth.check(None).is_err() && auth.check(Some(b"one")).is_err() && auth.check(Some(b"Bearer on")).is_err());
        assert!(Auth::new(Token::Value(String::new())).is_err());
        assert!(!format!("{auth:?}").contains("one"));
    }
}
