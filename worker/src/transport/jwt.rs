//! Tokens of a cluster: a service account's token, checked with the keys that the API server publishes.
//!
//! A shared token would have to be a secret that somebody makes, keeps and changes. A cluster has something better: the kubelet writes a
//! token into each pod that says which service account it is, for whom it is meant and how long it is good, signed by the API server. Here
//! it is checked without asking anybody: signature, audience, subject, time. The keys are in a file that is read again when it changes.
//!
//! Only what API servers use: RSA with SHA-256, and the curves P-256 and P-384. The kind of key decides which, never the token: a token
//! cannot choose how it is checked.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde::Deserialize;
use watershed_runtime::error::{Error, Kind, Result};

/// The largest difference between two clocks, in seconds.
const LEEWAY: i64 = 60;

/// Checks tokens.
pub struct Verifier {
    keys: PathBuf,
    audience: String,
    subjects: Vec<String>,
    read: Mutex<Option<(Stamp, Vec<Key>)>>,
}

type Stamp = (SystemTime, u64);

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.keys).field("subjects", &self.subjects).finish_non_exhaustive()
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Rsa { id: String, modulus: Vec<u8>, exponent: Vec<u8> },
    Curve { id: String, bits: u16, point: Vec<u8> },
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Published>,
}

#[derive(Deserialize)]
struct Published {
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    aud: Audience,
    exp: Option<i64>,
    nbf: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
    #[default]
    Nobody,
}

impl Verifier {
    /// Tokens for `audience` of one of `subjects`, checked with the keys in a file (a JSON Web Key Set).
    pub fn new(keys: PathBuf, audience: impl Into<String>, subjects: Vec<String>) -> Result<Self> {
        let verifier = Self { keys, audience: audience.into(), subjects, read: Mutex::new(None) };
        verifier.current()?;
        Ok(verifier)
    }

    /// The keys as they are now. A file that is gone, or half written, for a moment leaves the last ones.
    fn current(&self) -> Result<Vec<Key>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = std::fs::metadata(&self.keys).and_then(|m| Ok((m.modified()?, m.len())));
        if let (Ok(stamp), Some((known, keys))) = (&looked, &*read)
            && stamp == known
        {
            return Ok(keys.clone());
        }
        let unreadable = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(Kind::Unavailable, "cannot read the keys that tokens are checked with")
                .at(self.keys.display().to_string())
                .because(e)
        };
        let newer = looked.map_err(|e| unreadable(e.into())).and_then(|stamp| {
            let text = std::fs::read_to_string(&self.keys).map_err(|e| unreadable(e.into()))?;
            Ok((stamp, keys_of(&text).map_err(|e| unreadable(e.into()))?))
        });
        match (newer, &*read) {
            (Ok((stamp, keys)), _) => {
                *read = Some((stamp, keys.clone()));
                Ok(keys)
            }
            (Err(_), Some((_, last))) => Ok(last.clone()),
            (Err(e), None) => Err(e),
        }
    }

    /// The verdict on a token; a refusal says why, in words that may be told to the process that showed it.
    pub(super) fn check(&self, token: &str) -> std::result::Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        let keys = self.current().map_err(|e| e.to_string())?;
        self.check_at(token, &keys, now)
    }

    fn check_at(&self, token: &str, keys: &[Key], now: i64) -> std::result::Result<(), String> {
        let malformed = || "the token is none of a service account".to_owned();
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (head, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let head: Head = part(head).ok_or_else(malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?;
        let fits = |k: &&Key| k.id() == head.kid && k.algorithm() == head.alg;
        let good = keys.iter().filter(fits).any(|k| k.signed(signed.as_bytes(), &signature));
        if !good {
            return Err("the token is not signed by this cluster".into());
        }
        let claims: Claims = part(claims).ok_or_else(malformed)?;
        let meant = match &claims.aud {
            Audience::One(one) => *one == self.audience,
            Audience::Many(many) => many.contains(&self.audience),
            Audience::Nobody => false,
        };
        if !meant {
            return Err(format!("the token is not for `{}`", self.audience));
        }
        if claims.exp.is_none_or(|end| now > end.saturating_add(LEEWAY)) || claims.nbf.is_some_and(|from| now < from - LEEWAY) {
            return Err("the token has run out, or is not good yet".into());
        }
        if !self.subjects.contains(&claims.sub) {
            return Err(format!("`{}` does not belong to this job", claims.sub));
        }
        Ok(())
    }
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn keys_of(text: &str) -> std::result::Result<Vec<Key>, String> {
    let set: KeySet = serde_json::from_str(text).map_err(|e| e.to_string())?;
    // A key of a kind that is not known here checks nothing, and stops nobody else's.
    let keys: Vec<Key> = set.keys.into_iter().filter_map(Key::of).collect();
    if keys.is_empty() { Err("there is no key in it that is known here".into()) } else { Ok(keys) }
}

impl Key {
    fn of(key: Published) -> Option<Self> {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|b| !b.is_empty());
        match (key.kty.as_str(), key.crv.as_str()) {
            ("RSA", _) => Some(Self::Rsa { id: key.kid, modulus: bytes(&key.n)?, exponent: bytes(&key.e)? }),
            ("EC", curve @ ("P-256" | "P-384")) => {
                let bits: u16 = if curve == "P-256" { 256 } else { 384 };
                // An uncompressed point: 4, x, y, each as long as the field.
                let mut point = vec![4];
                for coordinate in [bytes(&key.x)?, bytes(&key.y)?] {
                    point.extend(std::iter::repeat_n(0, usize::from(bits / 8).checked_sub(coordinate.len())?));
                    point.extend(coordinate);
                }
                Some(Self::Curve { id: key.kid, bits, point })
            }
            _ => None,
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Rsa { id, .. } | Self::Curve { id, .. } => id,
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::Curve { bits: 256, .. } => "ES256",
            Self::Curve { .. } => "ES384",
        }
    }

    fn signed(&self, what: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { modulus, exponent, .. } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, what, signature).is_ok()
            }
            Self::Curve { bits, point, .. } => {
                let algorithm: &'static dyn VerificationAlgorithm =
                    if *bits == 256 { &ECDSA_P256_SHA256_FIXED } else { &ECDSA_P384_SHA384_FIXED };
                UnparsedPublicKey::new(algorithm, point).verify(what, signature).is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests;
