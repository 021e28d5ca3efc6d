//! The client's end of a Unix socket at which a job in one process offers the `Job` service.

use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_wire::tonic;

/// A channel over a connection that there is, which does not block.
pub(crate) async fn dial_unix(stream: UnixStream) -> Result<Channel> {
    let failed = |e: tonic::transport::Error| Error::new(Kind::Unavailable, "the job's socket speaks no gRPC").because(e);
    // The address is in no one's way: the socket is there already.
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint.connect_with_connector(Once(Mutex::new(Some(stream)))).await.map_err(failed)
}

/// Gives a connection once: where it drops, the job has ended.
struct Once(Mutex<Option<UnixStream>>);

impl Service<Uri> for Once {
    type Response = TokioIo<tokio::net::UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            let stream =
                stream.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the job has ended, or its process has"))?;
            Ok(TokioIo::new(tokio::net::UnixStream::from_std(stream)?))
        })
    }
}
