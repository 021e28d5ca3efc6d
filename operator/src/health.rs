//! `/healthz`, `/readyz` and `/metrics`: a few bytes of HTTP, answered one request a connection.
//!
//! The operator is alive as long as no reconciliation hangs beyond every deadline. It is ready once the definitions of the resources are
//! there, and as long as it can read and write the lease of the leader: a pod that does not lead is ready too, since it could lead at
//! once, but one that can neither lead nor see a leader is not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::context::Context;

/// The greatest number of bytes of a request that are read.
const LONGEST: usize = 4096;

/// Serves until the process ends.
pub(crate) async fn serve(address: SocketAddr, context: Arc<Context>) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let context = context.clone();
                tokio::spawn(async move {
                    let _closed = tokio::time::timeout(Duration::from_secs(5), answer(stream, &context)).await;
                });
            }
            // Too many open files: trying at once would only burn the processor.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(mut stream: TcpStream, context: &Context) -> std::io::Result<()> {
    let mut request = vec![0; LONGEST];
    let mut read = 0;
    while !request.get(..read).is_some_and(|r| r.windows(4).any(|w| w == b"\r\n\r\n")) {
        let Some(rest) = request.get_mut(read..).filter(|r| !r.is_empty()) else { break };
        match stream.read(rest).await? {
            0 => break,
            n => read += n,
        }
    }
    let text = String::from_utf8_lossy(request.get(..read).unwrap_or_default()).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default();
    let (status, body) = respond(path.split('?').next().unwrap_or_default(), context);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn respond(path: &str, context: &Context) -> (&'static str, String) {
    let metrics = &context.metrics;
    match path {
        "/healthz" => {
            let oldest = metrics.oldest();
            if oldest > context.settings.deadline * 3 {
                ("503 Service Unavailable", format!("a reconcile hangs for {} s\n", oldest.as_secs()))
            } else {
                ("200 OK", "alive\n".into())
            }
        }
        "/readyz" if !metrics.definitions.load(Ordering::Relaxed) => (
            "503 Service Unavailable",
            "the definitions of StreamJob and StreamSnapshot are not there: install the chart watershed-crds\n".into(),
        ),
        "/readyz" => match context.settings.lease.as_ref().and_then(|l| context.readiness.obstacle(l.renew_deadline)) {
            Some(why) => ("503 Service Unavailable", format!("{why}\n")),
            None => ("200 OK", "ready\n".into()),
        },
        "/metrics" => ("200 OK", metrics.text()),
        _ => ("404 Not Found", "there are /healthz, /readyz and /metrics\n".into()),
    }
}
