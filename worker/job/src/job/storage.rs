//! The object storage of a job: one of four kinds, with names that can be part of an address.

use std::fmt;
use std::path::PathBuf;

use super::JobName;
use crate::manifest;
use crate::problem::Why;

/// The object storage of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Amazon S3, or what speaks its protocol.
    S3 {
        /// The bucket.
        bucket: Bucket,
        /// The beginning of every object's name.
        prefix: Prefix,
        /// The region.
        region: Option<String>,
        /// The address of another service.
        endpoint: Option<String>,
    },
    /// Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: Bucket,
        /// The beginning of every object's name.
        prefix: Prefix,
    },
    /// Azure Blob Storage.
    Azure {
        /// The storage account.
        account: String,
        /// The container.
        container: Bucket,
        /// The beginning of every object's name.
        prefix: Prefix,
        /// The address of another service.
        endpoint: Option<String>,
    },
    /// A volume that every pod mounts.
    Claim {
        /// The claim.
        name: String,
        /// The directory within it.
        prefix: Prefix,
    },
}

impl Storage {
    /// The kind, as the field of the manifest is named; it cannot change during a job's life.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::S3 { .. } => "s3",
            Self::Gcs { .. } => "gcs",
            Self::Azure { .. } => "azure",
            Self::Claim { .. } => "persistentVolumeClaim",
        }
    }

    /// The address, where the storage is reached over a network: `s3://bucket/prefix?region=…&endpoint=…`, `gs://…`, `az://…`. All that is
    /// said of it and is not secret is in it.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let join = |scheme: &str, bucket: &Bucket, prefix: &Prefix| match prefix.as_str() {
            "" => format!("{scheme}://{bucket}"),
            prefix => format!("{scheme}://{bucket}/{prefix}"),
        };
        let said = |url: String, parts: &[(&str, Option<&str>)]| {
            let parts = parts.iter().filter_map(|(name, value)| value.map(|v| format!("{name}={v}")));
            let query = parts.collect::<Vec<_>>().join("&");
            if query.is_empty() { url } else { format!("{url}?{query}") }
        };
        match self {
            Self::S3 { bucket, prefix, region, endpoint } => {
                Some(said(join("s3", bucket, prefix), &[("region", region.as_deref()), ("endpoint", endpoint.as_deref())]))
            }
            Self::Gcs { bucket, prefix } => Some(join("gs", bucket, prefix)),
            Self::Azure { account, container, prefix, endpoint } => {
                Some(said(join("az", container, prefix), &[("account", Some(account)), ("endpoint", endpoint.as_deref())]))
            }
            Self::Claim { name: _, prefix: _ } => None,
        }
    }

    /// The directory of a local run whose manifest names no storage, or a volume that only a cluster has.
    #[must_use]
    pub fn local_directory(job: &JobName) -> PathBuf {
        PathBuf::from(".watershed").join(job.as_str())
    }

    pub(crate) fn judge(storage: &manifest::Storage) -> Result<Self, (&'static str, Why)> {
        let manifest::Storage { s3, gcs, azure, persistent_volume_claim: claim } = storage;
        match (s3, gcs, azure, claim) {
            (Some(s3), None, None, None) => Ok(Self::S3 {
                bucket: Bucket::new(&s3.bucket).map_err(|w| (".s3.bucket", w))?,
                prefix: Prefix::new(s3.prefix.as_deref()).map_err(|w| (".s3.prefix", w))?,
                region: region(s3.region.as_deref()).map_err(|w| (".s3.region", w))?,
                endpoint: endpoint(s3.endpoint.as_deref()).map_err(|w| (".s3.endpoint", w))?,
            }),
            (None, Some(gcs), None, None) => Ok(Self::Gcs {
                bucket: Bucket::new(&gcs.bucket).map_err(|w| (".gcs.bucket", w))?,
                prefix: Prefix::new(gcs.prefix.as_deref()).map_err(|w| (".gcs.prefix", w))?,
            }),
            (None, None, Some(azure), None) => Ok(Self::Azure {
                account: account(&azure.account).map_err(|w| (".azure.account", w))?,
                container: Bucket::new(&azure.container).map_err(|w| (".azure.container", w))?,
                prefix: Prefix::new(azure.prefix.as_deref()).map_err(|w| (".azure.prefix", w))?,
                endpoint: endpoint(azure.endpoint.as_deref()).map_err(|w| (".azure.endpoint", w))?,
            }),
            (None, None, None, Some(claim)) if claim.claim_name.is_empty() => {
                Err((".persistentVolumeClaim.claimName", Why::new("a claim needs a name")))
            }
            (None, None, None, Some(claim)) => Ok(Self::Claim {
                name: claim.claim_name.clone(),
                prefix: Prefix::new(claim.prefix.as_deref()).map_err(|w| (".persistentVolumeClaim.prefix", w))?,
            }),
            (None, None, None, None) => Err(("", Why::new("no kind of storage is given").advise(
                "give one of s3, gcs, azure, persistentVolumeClaim, or leave `storage` out to keep a local run in ./.watershed",
            ))),
            (_, _, _, _) => Err(("", Why::new("more than one kind of storage is given").advise("keep one of them"))),
        }
    }
}

/// The name of a bucket or container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket(String);

impl Bucket {
    /// Judges a name: 3 to 63 characters of lower-case letters, digits, `-`, `_` and `.`.
    pub fn new(name: &str) -> Result<Self, Why> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if (3..=63).contains(&name.len()) && name.chars().all(legal) && !name.contains("..") {
            return Ok(Self(name.to_owned()));
        }
        let why = Why::new("not the name of a bucket: 3 to 63 lower-case letters, digits, `-`, `_`, `.`");
        Err(match name.split_once("://") {
            Some((_, rest)) => {
                let shown: String = rest.chars().take(63).take_while(|c| *c != '/').collect();
                why.advise(format!("give the bare name, here `{shown}`"))
            }
            None => why,
        })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The beginning of every object's name: path segments, without slashes at either end; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prefix(String);

impl Prefix {
    /// Judges a prefix; slashes at the ends are dropped.
    pub fn new(prefix: Option<&str>) -> Result<Self, Why> {
        let prefix = prefix.unwrap_or_default().trim_matches('/');
        let illegal =
            |segment: &str| segment.is_empty() || segment == "." || segment == ".." || segment.chars().any(char::is_control);
        if !prefix.is_empty() && prefix.split('/').any(illegal) {
            return Err(
                Why::new("not a prefix: it has an empty segment, `.`, `..` or a control character").advise("write it as `a/b/c`")
            );
        }
        if prefix.len() > 512 {
            return Err(Why::new(format!("a prefix has at most 512 bytes, this one has {}", prefix.len())));
        }
        Ok(Self(prefix.to_owned()))
    }

    /// The prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn region(name: Option<&str>) -> Result<Option<String>, Why> {
    match name {
        Some(name) if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') => {
            Err(Why::new("not the name of a region").advise("write it as `eu-west-3`"))
        }
        name => Ok(name.map(str::to_owned)),
    }
}

fn endpoint(address: Option<&str>) -> Result<Option<String>, Why> {
    match address {
        Some(a) => match a.strip_prefix("https://").or_else(|| a.strip_prefix("http://")) {
            Some(host) if !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '&' | '#')) => {
                Ok(Some(a.to_owned()))
            }
            Some(_) | None => Err(Why::new("not an address").advise("write it as `https://host:port`")),
        },
        None => Ok(None),
    }
}

fn account(name: &str) -> Result<String, Why> {
    if (3..=24).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Ok(name.to_owned());
    }
    Err(Why::new("not the name of a storage account: 3 to 24 lower-case letters and digits"))
}
