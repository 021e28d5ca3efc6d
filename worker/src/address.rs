//! The address of storage in a cloud: `s3://bucket/prefix?region=eu-west-3&endpoint=http://host:9000`.
//!
//! Everything that a manifest says of its storage must reach every process of the job, and a coordinator tells its workers one text. So
//! it is in that text; what it leaves out comes from the environment, as do credentials, which must never be in it.

use watershed_runtime::error::{Error, Kind, Result};

/// An address, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    /// `s3`, `gs` or `az`.
    pub(crate) scheme: String,
    /// The bucket or container.
    pub(crate) bucket: String,
    /// The prefix of every object's name.
    pub(crate) prefix: String,
    /// The region, where it is said.
    pub(crate) region: Option<String>,
    /// Another address of the service, where it is said.
    pub(crate) endpoint: Option<String>,
    /// The storage account, where it is said.
    pub(crate) account: Option<String>,
}

impl Address {
    /// Takes a URL apart.
    pub(crate) fn of(url: &str) -> Result<Self> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let mut address =
            Self { scheme: scheme.into(), bucket: bucket.into(), prefix: prefix.trim_matches('/').into(), ..Self::default() };
        for part in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let field = match name {
                "region" => &mut address.region,
                "endpoint" => &mut address.endpoint,
                "account" => &mut address.account,
                other => {
                    return Err(Error::new(Kind::Invalid, format!("`{other}` says nothing about storage"))
                        .at(url.to_owned())
                        .advise("after `?` there may be region, endpoint and account; credentials come from the environment"));
                }
            };
            *field = Some(value.to_owned()).filter(|v| !v.is_empty());
        }
        Ok(address)
    }

    /// True if the service is reached without encryption.
    pub(crate) fn is_plain(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|e| e.starts_with("http://"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_all_that_is_not_secret() {
        let address = Address::of("s3://data/jobs/clicks?region=eu-west-3&endpoint=http://minio:9000").unwrap();
        assert_eq!((address.scheme.as_str(), address.bucket.as_str(), address.prefix.as_str()), ("s3", "data", "jobs/clicks"));
        assert_eq!((address.region.as_deref(), address.endpoint.as_deref()), (Some("eu-west-3"), Some("http://minio:9000")));
        assert!(address.is_plain());
        assert_eq!(
            Address::of("gs://data").unwrap(),
            Address { scheme: "gs".into(), bucket: "data".into(), ..Address::default() }
        );
        assert!(Address::of("s3://data?key=secret").is_err());
    }
}
