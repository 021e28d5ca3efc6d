//! Drives one link over one connection after the other: the thin part around [`super::link`].
//!
//! One task a link does everything in turn: takes from the queue and encodes, sends what the link says, takes what comes in. It holds no
//! lock and shares nothing. What may wait is the connection alone; the queue is unbounded by itself, since the engine's credits bound
//! what can be in it, and control items must never wait for room (I12).
//!
//! A peer that is wrong (L6), and bytes that cannot be decoded, are told to the owner once and end the link for its era: sending the
//! same again would not make them right.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use watershed_cluster::link::{Link, Message, Received, Wrong};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_wire::frame::Era;

use super::health::Notice;

/// Messages under way between a link and its connection: enough to keep both busy, few enough that control is soon sent.
const DEPTH: usize = 4;
/// Queued things encoded before the connection gets its turn.
const FILL: usize = 4;
/// The first and the longest pause before dialling again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A message that comes in: the era on it, the message, and how many bytes it took; or why nothing will come.
type Came<P> = Result<(Era, Message<P>, usize), String>;
/// The incoming side of a connection.
pub(super) type Inbound<P> = Pin<Box<dyn Stream<Item = Came<P>> + Send>>;
/// The queue of messages to be sent.
pub(super) type Outbound<P> = mpsc::Sender<(Era, Message<P>)>;

/// A connection that may carry a link.
pub(super) struct Connection<P> {
    pub(super) inbound: Inbound<P>,
    pub(super) outbound: Outbound<P>,
}

/// The two ends of a connection's outgoing side.
pub(super) fn outbound<P>() -> (Outbound<P>, mpsc::Receiver<(Era, Message<P>)>) {
    mpsc::channel(DEPTH)
}

/// The owner of a link.
pub(super) trait Work<P>: Send + 'static {
    /// The type of queued messages.
    type Queued: Send + 'static;
    /// The era in which it was queued.
    fn era(queued: &Self::Queued) -> Era;
    /// Makes an item of it, and says how many bytes it takes.
    fn encode(&mut self, queued: Self::Queued) -> Result<(P, usize)>;
    /// Takes the next item.
    fn deliver(&mut self, era: Era, item: P) -> Result<()>;
    /// Takes news of the link.
    fn notice(&mut self, notice: Notice);
}

/// A link, its queue, and where its connections come from.
pub(super) struct Pump<P, W: Work<P>> {
    pub(super) link: Link<Era, P>,
    pub(super) work: W,
    pub(super) queue: mpsc::UnboundedReceiver<W::Queued>,
    pub(super) eras: watch::Receiver<Era>,
    pub(super) connections: mpsc::Receiver<Connection<P>>,
    /// Called when a connection has ended: whoever dials may dial again.
    pub(super) ended: Arc<Notify>,
}

/// The reason why a connection is no longer used.
enum End<P> {
    /// The connection dropped.
    Dropped(String),
    /// Another took its place.
    Replaced(Connection<P>),
    /// The link cannot go on in this era.
    Broken(Error),
    /// The link is not needed any more.
    Over,
}

impl<P: Clone + Send + 'static, W: Work<P>> Pump<P, W> {
    /// Runs until nobody needs the link any more.
    pub(super) async fn run(mut self) {
        let mut next = None;
        loop {
            let connection = match next.take() {
                Some(connection) => connection,
                None => match self.between().await {
                    Some(connection) => connection,
                    None => return,
                },
            };
            // The era in which the connection was made: a session's number is told before its connection.
            self.link.enter(*self.eras.borrow_and_update());
            self.link.connected();
            self.work.notice(Notice::Connected);
            let end = self.on(connection).await;
            self.link.disconnected();
            match end {
                End::Dropped(why) => self.work.notice(Notice::Disconnected(why)),
                End::Replaced(connection) => next = Some(connection),
                End::Broken(error) => {
                    self.work.notice(Notice::Broken(error));
                    if !self.rest().await {
                        return;
                    }
                }
                End::Over => return,
            }
            if next.is_none() {
                self.ended.notify_one();
            }
        }
    }

    /// Without a connection: the queue is worked off as far as there is room, so that what is of an era that is over goes.
    async fn between(&mut self) -> Option<Connection<P>> {
        loop {
            tokio::select! {
                biased;
                changed = self.eras.changed() => self.entered(changed.is_ok())?,
                connection = self.connections.recv() => return connection,
                queued = self.queue.recv(), if self.link.room() => {
                    if let Err(error) = self.take(queued?) {
                        self.work.notice(Notice::Broken(error));
                        self.rest().await.then_some(())?;
                    }
                }
            }
        }
    }

    /// The link is broken: nothing goes on before another era.
    async fn rest(&mut self) -> bool {
        let broken = self.link.era();
        while self.link.era() == broken {
            tokio::select! {
                biased;
                changed = self.eras.changed() => if self.entered(changed.is_ok()).is_none() { return false },
                // Dropped: the peer gets to hear that nobody is there.
                connection = self.connections.recv() => if connection.is_none() { return false },
            }
            self.ended.notify_one();
        }
        true
    }

    fn entered(&mut self, alive: bool) -> Option<()> {
        let era = *self.eras.borrow_and_update();
        self.link.enter(era);
        alive.then_some(())
    }

    /// A queued thing becomes an item of the link, unless its era is over.
    fn take(&mut self, queued: W::Queued) -> Result<()> {
        let era = W::era(&queued);
        // The sender may have heard of the new era before this task did.
        self.link.enter(era);
        if era == self.link.era() {
            let (item, bytes) = self.work.encode(queued)?;
            self.link.push(item, bytes);
        }
        Ok(())
    }

    /// Queue to link, link to connection. False if the connection takes no more for now.
    fn push(&mut self, to: &Outbound<P>, quiet: bool) -> Result<bool, End<P>> {
        for _ in 0..FILL {
            let Some(queued) = self.link.room().then(|| self.queue.try_recv().ok()).flatten() else { break };
            self.take(queued).map_err(End::Broken)?;
        }
        loop {
            let permit = match to.try_reserve() {
                Ok(permit) => permit,
                Err(TrySendError::Full(())) => return Ok(false),
                Err(TrySendError::Closed(())) => return Err(End::Dropped("the connection is closed".into())),
            };
            match self.link.transmit(quiet) {
                Some(message) => permit.send((self.link.era(), message)),
                None => return Ok(true),
            }
        }
    }

    /// One connection, from its first message to its end.
    async fn on(&mut self, connection: Connection<P>) -> End<P> {
        let Connection { mut inbound, outbound } = connection;
        let mut quiet = false;
        loop {
            let open = match self.push(&outbound, quiet) {
                Ok(open) => open,
                Err(end) => return end,
            };
            tokio::task::coop::consume_budget().await;
            tokio::select! {
                biased;
                changed = self.eras.changed() => if self.entered(changed.is_ok()).is_none() { return End::Over },
                next = self.connections.recv() => return next.map_or(End::Over, End::Replaced),
                came = inbound.next() => {
                    quiet = false;
                    if let Err(end) = self.came(came) {
                        return end;
                    }
                }
                queued = self.queue.recv(), if self.link.room() => {
                    let Some(queued) = queued else { return End::Over };
                    if let Err(error) = self.take(queued) {
                        return End::Broken(error);
                    }
                }
                () = std::future::ready(()), if !quiet => quiet = true,
                _permit = outbound.reserve(), if !open => {}
            }
        }
    }

    fn came(&mut self, came: Option<Came<P>>) -> Result<(), End<P>> {
        let (era, message, bytes) = match came {
            Some(Ok(message)) => message,
            Some(Err(why)) => return Err(End::Dropped(why)),
            None => return Err(End::Dropped("the peer closed the connection".into())),
        };
        match self.link.receive(era, message, bytes) {
            Ok(Received::Deliver(item)) => self.work.deliver(era, item).map_err(End::Broken)?,
            Ok(Received::Nothing) => {}
            Ok(Received::Behind(era)) => self.work.notice(Notice::Behind(era)),
            Ok(Received::Refused(era, why)) => self.work.notice(Notice::Refused(era, why)),
            Err(Wrong(what)) => {
                let error = Error::new(Kind::Unavailable, format!("a peer is not the process it was: {what}"));
                return Err(End::Broken(error.advise("it must be recovered from, in a new generation")));
            }
        }
        Ok(())
    }
}

/// Dials again and again: `dial` makes a connection, `failed` hears why one could not be made. Ends when the link does.
pub(super) async fn redial<P, D>(
    connections: mpsc::Sender<Connection<P>>,
    ended: Arc<Notify>,
    mut dial: impl FnMut() -> D + Send,
    mut failed: impl FnMut(String) + Send,
) where
    D: Future<Output = Result<Connection<P>, String>> + Send,
{
    let mut pause = BACKOFF.0;
    loop {
        match dial().await {
            Ok(connection) => {
                let since = Instant::now();
                if connections.send(connection).await.is_err() {
                    return;
                }
                ended.notified().await;
                if since.elapsed() > BACKOFF.1 {
                    pause = BACKOFF.0;
                }
            }
            Err(why) => failed(why),
        }
        if connections.is_closed() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}
