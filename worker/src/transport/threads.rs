//! The threads of the transport: apart from slots' threads, which never wait for a socket.

use tokio::runtime::{Builder, Runtime};
use watershed_runtime::error::{Error, Kind, Result};

/// Threads for sockets, encoding and decoding. Links of different peers are worked on side by side, one link by one thread at a time.
pub fn threads(n: usize) -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(n.max(1))
        .thread_name("net")
        .enable_all()
        .build()
        .map_err(|e| Error::new(Kind::Unavailable, "cannot start the threads of the transport").because(e))
}
