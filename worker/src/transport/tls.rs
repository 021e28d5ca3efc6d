//! Mutual TLS from files: both ends show a certificate of one authority, so that a stranger on the network can neither send rows nor read
//! them.
//!
//! The files are looked at whenever a connection is made, and read again when they changed: certificates that are renewed every few
//! hours need no restart, and connections that stand are not cut. Files that do not fit together (a rotation caught half way) leave the
//! last good ones in use. TLS 1.3 only; both ends are ours.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use watershed_runtime::error::{Error, Kind, Result};

/// The files of certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority that signed everybody's certificate, in PEM.
    pub ca: PathBuf,
    /// This process's certificate and what leads to the authority, in PEM.
    pub cert: PathBuf,
    /// The certificate's key, in PEM.
    pub key: PathBuf,
    /// The name that every certificate of the job has; without it, the host that was dialled must be in the certificate.
    pub name: Option<String>,
}

/// Certificates as they are now.
pub struct Tls {
    files: TlsFiles,
    loaded: Mutex<Loaded>,
}

#[derive(Clone)]
struct Loaded {
    stamps: Stamps,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// The time at which each file was changed, and its length.
type Stamps = [Option<(SystemTime, u64)>; 3];

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    pub fn new(files: TlsFiles) -> Result<Self> {
        let loaded = Mutex::new(load(&files)?);
        Ok(Self { files, loaded })
    }

    fn current(&self) -> Loaded {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if stamps(&self.files) != loaded.stamps
            && let Ok(newer) = load(&self.files)
        {
            *loaded = newer;
        }
        loaded.clone()
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current().server)
    }

    /// The settings of a dialled connection, and the name that the other end's certificate must have.
    pub(super) fn connector(&self, host: &str) -> Result<(TlsConnector, ServerName<'static>)> {
        let name = self.files.name.clone().unwrap_or_else(|| host.to_owned());
        let server = ServerName::try_from(name.clone())
            .map_err(|e| Error::new(Kind::Invalid, format!("`{name}` cannot be the name in a certificate")).because(e))?;
        Ok((TlsConnector::from(self.current().client), server))
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    [&files.ca, &files.cert, &files.key]
        .map(|path| std::fs::metadata(path).ok().and_then(|m| Some((m.modified().ok()?, m.len()))))
}

fn unreadable(path: &Path, e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::Invalid, "the file cannot be used for TLS")
        .at(path.display().to_string())
        .because(e)
        .advise("it must be PEM: certificates in ca and cert, one key in key, and cert and key must belong together")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|e| unreadable(path, e))?.collect();
    let all = all.map_err(|e| unreadable(path, e))?;
    if all.is_empty() {
        return Err(unreadable(path, std::io::Error::other("no certificate is in it")));
    }
    Ok(all)
}

fn load(files: &TlsFiles) -> Result<Loaded> {
    // Before reading: a change in between is seen the next time.
    let stamps = stamps(files);
    let TlsFiles { ca, cert, key, name: _ } = files;
    let mut roots = RootCertStore::empty();
    for authority in certificates(ca)? {
        roots.add(authority).map_err(|e| unreadable(ca, e))?;
    }
    let roots = Arc::new(roots);
    let chain = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable(key, e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
        .build()
        .map_err(|e| unreadable(ca, e))?;
    let versions = &[&rustls::version::TLS13];
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|e| unreadable(cert, e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), private.clone_key())
        .map_err(|e| unreadable(cert, e))?;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|e| unreadable(cert, e))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, private)
        .map_err(|e| unreadable(cert, e))?;
    server.alpn_protocols = vec![b"h2".to_vec()];
    client.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Loaded { stamps, server: Arc::new(server), client: Arc::new(client) })
}
