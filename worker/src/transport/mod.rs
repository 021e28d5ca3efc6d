//! Transport between processes: links that survive dropped connections, and the gRPC under them.
//!
//! ```text
//!   slot thread ──Outlet──► queue ─► link task ─encode─► Link ─frames─► HTTP/2 ─► Link ─decode─► Inlet ─► slot's queue
//!                                    (one a peer and lane)                        (exactly once, in order)
//! ```
//!
//! A slot's thread pushes an event into a queue and goes on: no lock, no await, no encoding. A task encodes, numbers and sends; the
//! other end acknowledges. A connection that drops is dialled again and what was not acknowledged goes out again, so a cut of the
//! network is a delay; only a *process* that is gone is a recovery, and who decides that is the coordinator. Credits are the
//! engine's own and travel as frames: HTTP/2's windows are opened as far as they go, since a window smaller than the credits would let
//! rows hold up the barrier behind them.
//!
//! Two links join a pair of processes, each on a connection of its own: rows and credits on one, moving state on the other, so that
//! small never waits behind big. The worker with the higher number dials.
//!
//! | file | what |
//! |---|---|
//! | [`link`](watershed_cluster::link) | the pure machine, in `runtime/cluster`: numbers, acknowledgements, resends, eras |
//! | `pump`, `line`, `health` | drives one link over one connection after the other; a running link; its news and its state |
//! | `events` | a slot's events as bytes |
//! | `peers` | the links to all other workers: what a worker's host calls |
//! | `items` | what slots and coordinator say, as items of a session |
//! | `sessions`, `dialer` | the control session: the coordinator's end and the worker's |
//! | `server`, `socket` | listening and dialling: one place for windows, keepalive, TLS |
//! | `unix`, `unix_server` | the `Job` service of a job in one process |
//! | `threads` | what all of it runs on |
//! | `tls`, `token`, `jwt` | who may talk: certificates, a bearer token or a cluster's tokens; files are read again when they change |

mod dialer;
mod events;
mod health;
mod items;
mod jwt;
mod line;
mod peers;
mod pump;
mod server;
mod sessions;
mod socket;
mod threads;
mod tls;
mod token;
mod unix;
#[cfg(feature = "cli")]
mod unix_server;

pub use dialer::{ControlHandler, Session, SessionConfig, Speaker};
pub use events::{decode_event, encode_event};
pub use health::Notice;
pub use items::{ITEM_VERSION, pack, slot_of, unpack};
pub use jwt::Verifier;
pub use peers::{Inlet, Me, Outlet, Peer, Peers};
pub use server::{Listener, Services};
pub use sessions::{Answer, ControlHost, Sessions};
pub use socket::{Network, dial};
pub use threads::threads;
pub use tls::{Tls, TlsFiles};
pub use token::{Auth, Token};
pub use tokio::runtime::{Handle, Runtime};
pub(crate) use unix::dial_unix;
#[cfg(feature = "cli")]
pub(crate) use unix_server::serve_unix;
pub use watershed_wire as wire;
pub use watershed_wire::frame::{Era, Lane};

#[cfg(test)]
mod tests;
