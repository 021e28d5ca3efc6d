//! Listening: one port a process for the services it offers.
//!
//! A process without a certificate or without the token gets no further than here. A handshake that hangs costs a task and ends after
//! [`Network::patience`]; it never keeps others from being let in.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::transport::Server;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_wire::frame::MAX_FRAME;
use watershed_wire::tonic;
use watershed_wire::v1::control_server::ControlServer;
use watershed_wire::v1::data_server::DataServer;
use watershed_wire::v1::job_server::{Job, JobServer};

use super::socket::{HTTP_FRAME, Network, Socket, WINDOW};
use super::{Auth, Peers, Sessions};

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;
type Handler = Arc<dyn Fn(http::Request<Body>) -> Answer + Send + Sync>;

/// The services that a process offers.
#[derive(Clone, Default)]
pub struct Services {
    by_name: BTreeMap<&'static str, Handler>,
    auth: Option<Arc<Auth>>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Services {
    /// A worker's: frames from other workers.
    #[must_use]
    pub fn data(self, peers: &Peers) -> Self {
        let server = DataServer::new(peers.clone()).max_decoding_message_size(MAX_FRAME).max_encoding_message_size(MAX_FRAME);
        self.with(server)
    }

    /// The coordinator's: workers' sessions.
    #[must_use]
    pub fn control(self, sessions: &Sessions) -> Self {
        let server = ControlServer::new(sessions.clone());
        self.with(server.max_decoding_message_size(MAX_FRAME).max_encoding_message_size(MAX_FRAME))
    }

    /// The coordinator's: the command line and the operator.
    #[must_use]
    pub fn job(self, job: impl Job) -> Self {
        self.with(JobServer::new(job))
    }

    /// Any service of gRPC.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        // Services of tonic are always ready.
        let handler: Handler = Arc::new(move |request| Box::pin(service.clone().call(request)));
        self.by_name.insert(S::NAME, handler);
        self
    }
}

impl Service<http::Request<Body>> for Services {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        let refuse = |status: Status| -> Answer { Box::pin(std::future::ready(Ok(status.into_http()))) };
        let header = request.headers().get("authorization").map(http::HeaderValue::as_bytes);
        if let Some(Err(status)) = self.auth.as_ref().map(|auth| auth.check(header)) {
            return refuse(status);
        }
        match request.uri().path().split('/').nth(1).and_then(|name| self.by_name.get(name)) {
            Some(handler) => handler(request),
            None => refuse(Status::unimplemented(format!("{} is not offered here", request.uri().path()))),
        }
    }
}

/// A port that is listened on, until this is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Listener {
    /// Listens at `address` (port 0 takes any) and offers `services`.
    pub fn start(runtime: &Handle, address: &str, network: &Network, services: Services) -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::new(Kind::Unavailable, format!("cannot listen at {address}"))
                .advise("give an address and a port that are free, such as 0.0.0.0:7101")
                .because(e)
        };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).map_err(failed)?
        };
        let services = Services { auth: network.auth.clone(), ..services };
        let (sockets, mut incoming) = mpsc::channel::<Result<Socket, std::io::Error>>(16);
        let accepting = runtime.spawn(accept(listener, network.clone(), sockets));
        let server = Server::builder()
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(WINDOW)
            .http2_adaptive_window(Some(false))
            .max_frame_size(HTTP_FRAME)
            .http2_keepalive_interval(Some(network.keepalive))
            .http2_keepalive_timeout(Some(network.keepalive));
        let serving = runtime.spawn(async move {
            let sockets = futures_util::stream::poll_fn(move |cx| incoming.poll_recv(cx));
            let _over = server.serve_with_incoming(services, sockets).await;
        });
        Ok(Self { address: bound, tasks: vec![accepting, serving] })
    }

    /// The address at which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, network: Network, sockets: mpsc::Sender<Result<Socket, std::io::Error>>) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                let (network, sockets) = (network.clone(), sockets.clone());
                tokio::spawn(async move {
                    // A stranger, or a peer that went away: it hears of it by itself.
                    if let Ok(Ok(socket)) = tokio::time::timeout(network.patience, shake(tcp, &network)).await {
                        let _over = sockets.send(Ok(socket)).await;
                    }
                });
            }
            // Too many open files: it may get better, and trying at once would only burn the processor.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn shake(tcp: TcpStream, network: &Network) -> std::io::Result<Socket> {
    tcp.set_nodelay(true)?;
    match &network.tls {
        None => Ok(Socket::Plain(tcp)),
        Some(tls) => Ok(Socket::Tls(Box::new(tls.acceptor().accept(tcp).await?.into()))),
    }
}
