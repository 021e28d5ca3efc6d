//! Object storage as the engine needs it: create-only puts, reads, ranges, and nothing that lists for correctness.
//!
//! Everything durable goes through [`Store`], a blocking face of `object_store`: it is called on threads that may block. A directory is
//! synced to disk on every write. At the start a store is *probed*: one key is created twice, and a store that lets that happen is refused,
//! because two coordinators on it would overwrite each other's manifests.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::protocol::log::Put;

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
use crate::address::Address;

/// The number of tries of a write whose answer does not come.
const TRIES: u32 = 3;

/// Retries of a cloud store: for three minutes, and at least every two seconds, so that a store that comes back is noticed soon.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
fn patience() -> object_store::RetryConfig {
    let most = std::time::Duration::from_secs(2);
    let backoff = object_store::BackoffConfig { max_backoff: most, ..object_store::BackoffConfig::default() };
    object_store::RetryConfig { backoff, max_retries: 1000, retry_timeout: std::time::Duration::from_secs(180) }
}

/// Characters of a store's answer that are passed on.
const LONGEST: usize = 400;

/// A store's answer, once. Errors of cloud stores wrap one answer in three layers, and an S3 server that cannot verify a request adds
/// all of it, in hexadecimal digits too: forty lines, of which the code and the message matter.
#[derive(Debug)]
struct Said(String);

impl Said {
    fn of(error: StoreError) -> Self {
        let mut all = error.to_string();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(e) = cause {
            // The inner ones repeat the answer without the address.
            if !all.contains("<Error>") && !all.contains(&e.to_string()) {
                all = format!("{all}: {e}");
            }
            cause = e.source();
        }
        let Some((before, xml)) = all.split_once("<?xml").or_else(|| all.split_once("<Error>")) else {
            return Self(all.chars().take(LONGEST).collect());
        };
        let part = |name: &str| {
            let text = xml.split_once(&format!("<{name}>"))?.1;
            text.split_once('<').map(|(text, _)| text.to_owned())
        };
        let answer = [part("Code"), part("Message")].into_iter().flatten().collect::<Vec<_>>().join(": ");
        Self(before.chars().take(LONGEST).chain(answer.chars().take(LONGEST)).collect())
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Said {}

/// A job's storage.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    place: Arc<str>,
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    runtime: Option<Arc<tokio::runtime::Runtime>>,
}

impl Store {
    /// Opens storage: a path or `file://` URL for a directory, `memory:`, or (with their features) `s3://`, `gs://`, `az://` URLs.
    pub fn open(url: &str) -> Result<Self> {
        if url == "memory:" || url == "memory://" {
            return Ok(Self::of(Arc::new(InMemory::new()), url));
        }
        let path = url.strip_prefix("file://").unwrap_or(url);
        if !path.contains("://") {
            return Self::directory(FilePath::new(path));
        }
        Self::cloud(url)
    }

    /// A directory, made if it does not exist. Every write is synced.
    pub fn directory(path: &FilePath) -> Result<Self> {
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(Kind::Unavailable, "the storage directory cannot be used")
                .at(path.display().to_string())
                .advise("check that it exists or can be created, and that this user may write to it; or choose another with --storage")
                .because(e)
        };
        std::fs::create_dir_all(path).map_err(|e| failed(Box::new(e)))?;
        let store = LocalFileSystem::new_with_prefix(path).map_err(|e| failed(Box::new(e)))?;
        Ok(Self::of(Arc::new(store.with_fsync(true)), &path.display().to_string()))
    }

    fn of(inner: Arc<dyn ObjectStore>, place: &str) -> Self {
        Self {
            inner,
            place: place.into(),
            #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
            runtime: None,
        }
    }

    #[cfg(not(any(feature = "s3", feature = "gcs", feature = "azure")))]
    fn cloud(url: &str) -> Result<Self> {
        Err(Error::new(Kind::Invalid, format!("storage `{url}` is in a cloud, which this program was built without"))
            .advise("use a directory, or build with the feature s3, gcs or azure of the crate watershed"))
    }

    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    fn cloud(url: &str) -> Result<Self> {
        let at = Address::of(url)?;
        let (scheme, bucket, prefix) = (at.scheme.as_str(), at.bucket.as_str(), at.prefix.as_str());
        let invalid = |e: StoreError| Error::new(Kind::Invalid, format!("storage `{url}` cannot be opened")).because(e);
        // The HTTP client takes its cryptography from the process. One that the program has installed before stays: that is the only error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let inner: Arc<dyn ObjectStore> = match scheme {
            #[cfg(feature = "s3")]
            "s3" => {
                let mut builder = object_store::aws::AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(patience());
                // The address counts more than the environment.
                builder = at.region.iter().fold(builder, |b, region| b.with_region(region));
                builder = at.endpoint.iter().fold(builder, |b, e| b.with_endpoint(e).with_allow_http(at.is_plain()));
                Arc::new(builder.build().map_err(invalid)?)
            }
            #[cfg(feature = "gcs")]
            "gs" => Arc::new(
                object_store::gcp::GoogleCloudStorageBuilder::from_env()
                    .with_bucket_name(bucket)
                    .with_retry(patience())
                    .build()
                    .map_err(invalid)?,
            ),
            #[cfg(feature = "azure")]
            "az" => {
                let builder = object_store::azure::MicrosoftAzureBuilder::from_env();
                let mut builder = builder.with_container_name(bucket).with_retry(patience());
                builder = at.account.iter().fold(builder, |b, account| b.with_account(account));
                builder = at.endpoint.iter().fold(builder, |b, e| b.with_endpoint(e.clone()).with_allow_http(at.is_plain()));
                Arc::new(builder.build().map_err(invalid)?)
            }
            other => {
                return Err(Error::new(Kind::Invalid, format!("storage scheme `{other}` in `{url}` is not known"))
                    .advise("use a directory, s3://, gs:// or az:// (each needs its feature)"));
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|e| Error::new(Kind::Unavailable, "cannot start the storage thread").because(e))?;
        let mut store = Self::of(inner, url);
        store.runtime = Some(Arc::new(runtime));
        Ok(if prefix.is_empty() { store } else { store.under(prefix) })
    }

    /// The part of this storage below `prefix`.
    #[must_use]
    pub fn under(&self, prefix: &str) -> Self {
        let mut store = self.clone();
        store.inner = Arc::new(PrefixStore::new(self.inner.clone(), prefix));
        store
    }

    fn wait<T>(&self, f: impl Future<Output = T>) -> T {
        #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
        if let Some(runtime) = &self.runtime {
            return runtime.block_on(f);
        }
        futures_executor::block_on(f)
    }

    fn failed(&self, doing: &str, name: &str, e: StoreError) -> Error {
        Error::new(Kind::Unavailable, format!("cannot {doing} `{name}`"))
            .at(format!("storage {}", self.place))
            .advise("check that the storage is reachable, has room, and that its credentials or permissions are right")
            .because(Said::of(e))
    }

    /// Creates an object, unless it exists. Any other answer leaves it open whether the put happened.
    pub fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Put> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.wait(self.inner.put_opts(&Path::from(name), PutPayload::from(bytes), options)) {
            Ok(_) => Ok(Put::Created),
            Err(StoreError::AlreadyExists { .. }) => Ok(Put::Exists),
            Err(e) => Err(self.failed("create", name, e)),
        }
    }

    /// Creates an object under a name that nobody else will choose. An answer that did not come is no failure then: the same bytes go
    /// to the same name again, and one that is there is this one.
    pub fn create_own(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let mut tried = 1;
        loop {
            match self.create(name, bytes.clone()) {
                Ok(Put::Created | Put::Exists) => return Ok(()),
                Ok(Put::Ambiguous) if tried < TRIES => {}
                Ok(Put::Ambiguous) => {
                    return Err(Error::new(Kind::Unavailable, format!("it is not known whether `{name}` was created")));
                }
                Err(e) if tried >= TRIES || e.kind() != Kind::Unavailable => return Err(e),
                Err(_) => {}
            }
            tried += 1;
        }
    }

    /// Writes an object, whatever was there.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let put = self.wait(self.inner.put(&Path::from(name), PutPayload::from(bytes)));
        put.map(|_| ()).map_err(|e| self.failed("write", name, e))
    }

    /// Reads an object; `None` if there is none.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = Path::from(name);
        let read = self.wait(async { self.inner.get(&path).await?.bytes().await });
        match read {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", name, e)),
        }
    }

    /// Reads a part of an object; `None` if there is none.
    pub fn get_range(&self, name: &str, range: std::ops::Range<u64>) -> Result<Option<Vec<u8>>> {
        let path = Path::from(name);
        match self.wait(self.inner.get_range(&path, range)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", name, e)),
        }
    }

    /// Deletes an object; one that is not there is fine.
    pub fn delete(&self, name: &str) -> Result<()> {
        match self.wait(self.inner.delete(&Path::from(name))) {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed("delete", name, e)),
        }
    }

    /// The names below a folder. For collection and for people; nothing correct depends on it.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        let prefix = (!folder.is_empty()).then(|| Path::from(folder));
        let listed = self.wait(self.inner.list(prefix.as_ref()).map_ok(|m| m.location.to_string()).try_collect());
        listed.map_err(|e| self.failed("list", folder, e))
    }

    /// Refuses storage that does not honour create-only puts.
    pub fn probe(&self) -> Result<()> {
        let name = format!("probe/{}", crate::clock::unique());
        let first = self.create(&name, b"probe".to_vec())?;
        let second = self.create(&name, b"probe".to_vec())?;
        self.delete(&name)?;
        if first == Put::Created && second == Put::Exists {
            return Ok(());
        }
        Err(Error::new(Kind::Invalid, "the storage lets an object be created twice")
            .at(format!("storage {}", self.place))
            .advise("two processes could overwrite each other's snapshots there; use storage that honours create-only (conditional) puts"))
    }

    /// The place of the store, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_one_s_own_that_is_there_already_was_created_by_an_earlier_try() {
        let store = Store::open("memory:").unwrap();
        assert_eq!(store.create("state/delta/1-1-a", b"x".to_vec()).unwrap(), Put::Created);
        store.create_own("state/delta/1-1-a", b"x".to_vec()).unwrap();
        store.create_own("state/delta/1-1-b", b"y".to_vec()).unwrap();
        assert_eq!(store.get("state/delta/1-1-b").unwrap().unwrap(), b"y");
    }

    /// The HTTP client of a cloud store ends the process where it finds no cryptography.
    #[cfg(feature = "s3")]
    #[test]
    fn storage_over_tls_brings_its_cryptography() {
        Store::open("s3://bucket/jobs?region=eu-west-3&endpoint=https://127.0.0.1:1").unwrap();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }

    #[test]
    fn what_a_store_said_is_told_once_and_without_its_xml() {
        let answer = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code>\
            <Message>Check your key.</Message><CanonicalRequestBytes>50 55</CanonicalRequestBytes></Error>";
        let inner: Box<dyn std::error::Error + Send + Sync> = answer.into();
        let said = Said::of(StoreError::PermissionDenied { path: "job/state".into(), source: inner }).to_string();
        assert!(said.contains("403 Forbidden: SignatureDoesNotMatch: Check your key."), "{said}");
        assert!(!said.contains('<') && !said.contains("50 55") && said.matches("403").count() == 1, "{said}");
        let gone: Box<dyn std::error::Error + Send + Sync> = "connection refused".into();
        let said = Said::of(StoreError::Generic { store: "S3", source: gone }).to_string();
        assert_eq!(said.matches("connection refused").count(), 1, "{said}");
    }
}
