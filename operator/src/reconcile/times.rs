//! Times as the Kubernetes API writes them (RFC 3339), and as seconds since 1970.

use k8s_openapi::jiff::Timestamp;

/// The text of a time.
pub(crate) fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|t| t.to_string()).unwrap_or_default()
}

/// The seconds of a time's text; none if the text is no time.
pub(crate) fn seconds_of(time: &str) -> Option<i64> {
    time.parse::<Timestamp>().ok().map(|t| t.as_second())
}
