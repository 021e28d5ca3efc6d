//! The server's end of a Unix socket at which a job in one process offers the `Job` service.

use std::io;
use std::os::unix::net::UnixListener;

use futures_util::stream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use watershed_wire::tonic;

use super::Services;

/// Offers services at a socket that does not block, until the task is aborted.
pub(crate) fn serve_unix(runtime: &Handle, listener: UnixListener, services: Services) -> io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::UnixListener::from_std(listener)?
    };
    Ok(runtime.spawn(async move {
        let accepted = stream::unfold(listener, |listener| async {
            let socket = listener.accept().await.map(|(socket, _)| socket);
            Some((socket, listener))
        });
        let _over = Server::builder().serve_with_incoming(services, accepted).await;
    }))
}
