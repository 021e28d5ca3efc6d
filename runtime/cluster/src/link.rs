//! One link: items in one direction and the other, exactly once and in order, over connections that may drop at any moment. Pure.
//!
//! Laws, for two ends in the same era:
//! - **L1** What one end delivers is a prefix of what the other was given: in order, nothing twice, nothing left out.
//! - **L2** An item leaves the sender's buffer only when it is acknowledged or its era is over.
//! - **L3** The buffer holds at most [`Link::limit`] bytes and one item: who pushes asks [`Link::room`] first.
//! - **L4** Nothing of an older era is delivered; its sender is told, once a connection.
//! - **L5** Nothing of a newer era is delivered, acknowledged or refused: it is asked for again when this end gets there.
//! - **L6** A peer that acknowledges what was never sent, or wants what it has acknowledged, is wrong, and this is an error: it is not
//!   the process it was.
//! - **L7** Once connections stop dropping, everything pushed is delivered.
//!
//! There is no timer in it. Each end says on each connection, and in each era, from which number on it wants the other's items, and nothing
//! is sent again before that is known: a dropped connection costs what was lost, not what was kept. Acknowledgements go out when enough
//! is owed or when the link falls quiet.
//!
//! ```text
//!   base            cursor                next          sequence numbers of the sender
//!    │ sent, not acknowledged │ not yet sent │
//! ```

use std::collections::VecDeque;

/// A number that tells the items of one session or run from those of another; the newer one is greater.
pub trait Era: Copy + Ord + std::fmt::Display + std::fmt::Debug {}

impl<E: Copy + Ord + std::fmt::Display + std::fmt::Debug> Era for E {}

/// Bytes received and not acknowledged after which the acknowledgement no longer waits for a quiet moment.
const OWED: usize = 1 << 20;
/// Items, for the same reason: many small ones.
const OWED_ITEMS: u32 = 256;

/// A message between the two ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<P> {
    /// An item and its number.
    Item(u64, P),
    /// Everything before this number has arrived.
    Ack(u64),
    /// Everything before this number has arrived; send the rest again.
    Resume(u64),
    /// Your era is over.
    Refuse(String),
}

/// The outcome of a received message.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<E, P> {
    /// The next item.
    Deliver(P),
    /// Nothing to do for the link's owner.
    Nothing,
    /// The peer is in a newer era (L5): ask the coordinator.
    Behind(E),
    /// The peer refuses this end's era: it has been replaced.
    Refused(E, String),
}

/// A peer that is not what it was (L6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(pub String);

/// One end of a link.
#[derive(Debug)]
pub struct Link<E, P> {
    era: E,
    limit: usize,
    connected: bool,
    buffer: VecDeque<(usize, P)>,
    bytes: usize,
    /// The number of the buffer's front.
    base: u64,
    /// The number of the next item to put on the connection.
    cursor: u64,
    /// The number of the next item to be received.
    expected: u64,
    owed: usize,
    owed_items: u32,
    resume: bool,
    /// The peer has said on this connection where it stands.
    ready: bool,
    refuse: bool,
    refused: bool,
    told_behind: bool,
}

impl<E: Era, P: Clone> Link<E, P> {
    /// A link in an era that keeps at most about `limit` bytes until they are acknowledged.
    #[must_use]
    pub fn new(era: E, limit: usize) -> Self {
        Self {
            era,
            limit,
            connected: false,
            buffer: VecDeque::new(),
            bytes: 0,
            base: 0,
            cursor: 0,
            expected: 0,
            owed: 0,
            owed_items: 0,
            resume: false,
            ready: false,
            refuse: false,
            refused: false,
            told_behind: false,
        }
    }

    /// The era.
    #[must_use]
    pub fn era(&self) -> E {
        self.era
    }

    /// Bytes kept until they are acknowledged.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.bytes
    }

    /// The bytes that may be kept (L3).
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// True if another item may be pushed.
    #[must_use]
    pub fn room(&self) -> bool {
        self.bytes < self.limit
    }

    /// The number of the next item to come: what a session tells its peer when it resumes.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// Goes on in a newer era: numbers begin at 0, what was kept is gone. An older one, or the same, changes nothing.
    pub fn enter(&mut self, era: E) -> bool {
        if era <= self.era {
            return false;
        }
        let (connected, limit) = (self.connected, self.limit);
        *self = Self::new(era, limit);
        if connected {
            self.connected();
            // Nothing has been sent in this era, so the peer can want nothing but the beginning.
            self.ready = true;
        }
        true
    }

    /// Takes an item that will take `bytes` bytes.
    pub fn push(&mut self, item: P, bytes: usize) {
        self.bytes += bytes;
        self.buffer.push_back((bytes, item));
    }

    /// There is a connection: what was on the last one may or may not have arrived.
    pub fn connected(&mut self) {
        self.connected = true;
        self.resume = true;
        (self.ready, self.refuse, self.refused) = (false, false, false);
    }

    /// There is none any more.
    pub fn disconnected(&mut self) {
        self.connected = false;
    }

    fn next(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// The next message for the connection; the caller writes the era on it. `quiet`: no input is pending at the moment, so all outstanding
    /// acknowledgements are sent.
    pub fn transmit(&mut self, quiet: bool) -> Option<Message<P>> {
        if !self.connected {
            return None;
        }
        if std::mem::take(&mut self.resume) {
            self.settle();
            return Some(Message::Resume(self.expected));
        }
        if std::mem::take(&mut self.refuse) {
            return Some(Message::Refuse(format!("{} is over: {} has begun", "the sender's era", self.era)));
        }
        if self.owed >= OWED || self.owed_items >= OWED_ITEMS {
            return Some(self.acknowledge());
        }
        let at = usize::try_from(self.cursor - self.base).ok().filter(|_| self.ready);
        if let Some((_, item)) = at.and_then(|i| self.buffer.get(i)) {
            self.cursor += 1;
            return Some(Message::Item(self.cursor - 1, item.clone()));
        }
        (quiet && self.owed_items > 0).then(|| self.acknowledge())
    }

    /// True if [`Link::transmit`] has a message when the link is quiet.
    #[must_use]
    pub fn has_to_say(&self) -> bool {
        self.connected && (self.resume || self.refuse || self.owed_items > 0 || (self.ready && self.cursor < self.next()))
    }

    fn settle(&mut self) {
        (self.owed, self.owed_items) = (0, 0);
    }

    fn acknowledge(&mut self) -> Message<P> {
        self.settle();
        Message::Ack(self.expected)
    }

    /// Takes a message of the peer's from the present connection.
    pub fn receive(&mut self, era: E, message: Message<P>, bytes: usize) -> Result<Received<E, P>, Wrong> {
        if let Message::Refuse(why) = message {
            // Only a newer era can refuse; anything else crossed with our own way there.
            return Ok(if era > self.era { Received::Refused(era, why) } else { Received::Nothing });
        }
        if era > self.era {
            return Ok(if std::mem::replace(&mut self.told_behind, true) { Received::Nothing } else { Received::Behind(era) });
        }
        if era < self.era {
            if !std::mem::replace(&mut self.refused, true) {
                self.refuse = true;
            }
            return Ok(Received::Nothing);
        }
        match message {
            Message::Item(sequence, item) => Ok(self.take(sequence, item, bytes)),
            Message::Ack(next) => self.acknowledged(next).map(|()| Received::Nothing),
            Message::Resume(next) => {
                if next < self.base {
                    return Err(Wrong(format!(
                        "it wants item {next} again, but has acknowledged everything before {}",
                        self.base
                    )));
                }
                self.acknowledged(next)?;
                self.cursor = self.base;
                self.ready = true;
                Ok(Received::Nothing)
            }
            Message::Refuse(_) => Ok(Received::Nothing),
        }
    }

    fn take(&mut self, sequence: u64, item: P, bytes: usize) -> Received<E, P> {
        if sequence != self.expected {
            // Below: it has arrived already, and that has been or will be said. Above: sent before this end entered the era and asked
            // for the beginning (L5), which comes.
            return Received::Nothing;
        }
        self.expected += 1;
        self.owed += bytes;
        self.owed_items += 1;
        Received::Deliver(item)
    }

    fn acknowledged(&mut self, next: u64) -> Result<(), Wrong> {
        if next > self.cursor.max(self.base) {
            // The cursor may have been moved back by a resume that crossed this acknowledgement.
            if next > self.next() {
                return Err(Wrong(format!("it acknowledges {next} items, but only {} were ever given", self.next())));
            }
            self.cursor = next;
        }
        while self.base < next {
            let Some((bytes, _)) = self.buffer.pop_front() else { break };
            self.bytes -= bytes;
            self.base += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
