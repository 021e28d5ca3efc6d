//! The one public error: its kind is advice.
//!
//! A reader of a message wants to know what happened, where, why and what to do. `what` and `place` are sentences without a full
//! stop; `advice` is the sentence that says what to do. The source chain is kept apart, for logs.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kind of an error: what its reader should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The job's text, options or program are wrong: change them.
    Invalid,
    /// The data is wrong: fix the row, or tell the format to skip such rows.
    Data,
    /// Something outside (a disk, a network, a permission) refuses: it may work later, or after it is mended.
    Unavailable,
    /// This process has been replaced by a newer one and must stop.
    Fenced,
    /// Stored bytes are damaged or made by something else; nothing was changed.
    Corrupt,
    /// A law of the engine was broken: a defect to report.
    Broken,
}

/// An error with its place and its advice.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    what: String,
    place: Option<String>,
    advice: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of a kind; `what` in lower case, without full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { inner: Box::new(Inner { kind, what: what.into(), place: None, advice: None, source: None }) }
    }

    /// A broken law: always a defect of the engine.
    pub fn broken(law: &str, what: impl Into<String>) -> Self {
        Self::new(Kind::Broken, format!("{law}: {}", what.into()))
            .advise("this is a defect in Watershed: please report it with this message")
    }

    /// Says where: a file and line, a node, a field path.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        let place = place.into();
        self.inner.place = Some(match self.inner.place.take() {
            Some(inner) => format!("{place}: {inner}"),
            None => place,
        });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.inner.advice = Some(advice.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// The advice, if any is known.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.inner.advice.as_deref()
    }

    /// The same error in other words: for whoever knows which larger text the one complained about stands in.
    #[must_use]
    pub fn reworded(mut self, place: impl FnOnce(Option<&str>) -> Option<String>, words: impl Fn(&str) -> String) -> Self {
        self.inner.place = place(self.inner.place.as_deref());
        self.inner.what = words(&self.inner.what);
        self.inner.advice = self.inner.advice.as_deref().map(words);
        self
    }

    /// A stable word for metrics.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self.inner.kind {
            Kind::Invalid => "invalid",
            Kind::Data => "data",
            Kind::Unavailable => "unavailable",
            Kind::Fenced => "fenced",
            Kind::Corrupt => "corrupt",
            Kind::Broken => "broken",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.inner.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.inner.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|e| e as _)
    }
}

/// An error on its way to another process: its causes become text.
#[derive(Serialize, Deserialize)]
struct Told {
    kind: Kind,
    what: String,
    place: Option<String>,
    advice: Option<String>,
    causes: Option<String>,
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Inner { kind, what, place, advice, source: _ } = &*self.inner;
        let causes: Vec<String> =
            std::iter::successors(std::error::Error::source(self), |e| e.source()).map(ToString::to_string).collect();
        let causes = (!causes.is_empty()).then(|| causes.join(": "));
        Told { kind: *kind, what: what.clone(), place: place.clone(), advice: advice.clone(), causes }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Told { kind, what, place, advice, causes } = Told::deserialize(from)?;
        Ok(Self { inner: Box::new(Inner { kind, what, place, advice, source: causes.map(Into::into) }) })
    }
}

/// The whole story on several lines: message, causes, advice. What a command line prints.
#[must_use]
pub fn explain(error: &Error) -> String {
    let mut text = format!("error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(c) = cause {
        text.push_str(&format!("\n  because: {c}"));
        cause = c.source();
    }
    if let Some(advice) = error.advice() {
        text.push_str(&format!("\n  help: {advice}"));
    }
    text
}

/// Bytes as lower-case hexadecimal text in JSON.
pub mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes bytes as hexadecimal text.
    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len() * 2);
        for b in bytes {
            text.push(char::from_digit(u32::from(b >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(b & 15), 16).unwrap_or('0'));
        }
        s.serialize_str(&text)
    }

    /// Reads hexadecimal text.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
        match digits {
            Some(d) if d.len() % 2 == 0 => Ok(d.chunks_exact(2).map(|p| p.iter().fold(0, |n, d| n << 4 | *d as u8)).collect()),
            _ => Err(serde::de::Error::custom("not hexadecimal text of whole bytes")),
        }
    }
}
