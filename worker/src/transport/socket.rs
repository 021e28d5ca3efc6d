//! Sockets: one place for what every connection between two processes has in common.
//!
//! HTTP/2's windows are as large as they can be, and do not adapt: rows are held back by the engine's credits, which know what they hold
//! back, and a window that closes first would hold a barrier behind rows (I12). Frames of HTTP/2 are large, so that a batch is not
//! cut into sixteen pieces. No Nagle: a lone record goes through at once. Pings find a peer that is gone without a word.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tonic::Request;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_wire::tonic;

use super::{Auth, Tls};

/// HTTP/2's largest window.
pub(super) const WINDOW: u32 = (1 << 31) - 1;
/// Bytes of one frame of HTTP/2.
pub(super) const HTTP_FRAME: u32 = 1 << 20;

/// Settings by which this process talks to others.
#[derive(Clone, Debug)]
pub struct Network {
    /// Certificates; none = plain text.
    pub tls: Option<Arc<Tls>>,
    /// The token to show and to ask for; none = nobody is asked.
    pub auth: Option<Arc<Auth>>,
    /// The time after which a silent connection is asked whether it lives, and the longest time for its answer.
    pub keepalive: Duration,
    /// The longest time in which a connection is made.
    pub patience: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self { tls: None, auth: None, keepalive: Duration::from_secs(2), patience: Duration::from_secs(3) }
    }
}

impl Network {
    /// A request that shows the token.
    pub fn request<T>(&self, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        if let Some(auth) = &self.auth {
            let bearer = format!("Bearer {}", auth.current()?)
                .parse()
                .map_err(|e| Error::new(Kind::Invalid, "the token has characters that a header cannot have").because(e))?;
            request.metadata_mut().insert("authorization", bearer);
        }
        Ok(request)
    }
}

/// Dials `host:port`.
pub async fn dial(network: &Network, address: &str) -> Result<Channel> {
    let failed = |e: tonic::transport::Error| {
        let mut why = String::new();
        let mut cause: Option<&dyn std::error::Error> = Some(&e);
        while let Some(c) = cause {
            why = c.to_string();
            cause = c.source();
        }
        Error::new(Kind::Unavailable, format!("cannot reach {address}: {why}"))
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|e| Error::new(Kind::Invalid, format!("`{address}` is not an address such as 10.0.0.3:7101")).because(e))?
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW)
        .http2_adaptive_window(false)
        .max_frame_size(HTTP_FRAME)
        .http2_keep_alive_interval(network.keepalive)
        .keep_alive_timeout(network.keepalive)
        .keep_alive_while_idle(true)
        .connect_timeout(network.patience);
    endpoint.connect_with_connector(Dialer(network.tls.clone())).await.map_err(failed)
}

/// Makes a socket for a channel.
#[derive(Clone, Debug)]
struct Dialer(Option<Arc<Tls>>);

impl Service<Uri> for Dialer {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let tls = self.0.clone();
        Box::pin(async move {
            let host = to.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
            let tcp = TcpStream::connect((host.as_str(), to.port_u16().unwrap_or(80))).await?;
            tcp.set_nodelay(true)?;
            let socket = match tls {
                None => Socket::Plain(tcp),
                Some(tls) => {
                    let (connector, name) = tls.connector(&host).map_err(io::Error::other)?;
                    Socket::Tls(Box::new(connector.connect(name, tcp).await?.into()))
                }
            };
            Ok(TokioIo::new(socket))
        })
    }
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Socket {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Self::Tls(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(s) => s.is_write_vectored(),
            Self::Tls(s) => s.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
