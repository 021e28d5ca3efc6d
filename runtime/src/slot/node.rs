//! The receiving end: a node's input channels, in what order their items are taken, and how they make one watermark.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::container::Batch;
use crate::frame::Item;
use crate::graph::NodeId;
use crate::key::SlotId;
use crate::messages::Barrier;
use crate::operator::{Operator, Watermarks};
use crate::protocol::cut::consumer::Consumer;
use crate::protocol::cut::{ChannelWatermark, Tag};
use crate::protocol::rules::RuleSet;
use crate::time::Time;

use super::route::Exchange;
use super::sink::SinkState;
use super::source::SourceState;

/// One input channel of a node.
#[derive(Debug)]
pub(super) struct Channel {
    /// The exchange edge it belongs to, or the local edge.
    pub(super) edge: u32,
    /// The sender.
    pub(super) from: SlotId,
    /// The node's input port.
    pub(super) port: u8,
    /// True if rows on it cost credits (not on local edges).
    pub(super) exchanged: bool,
    /// Items not taken yet.
    pub(super) queue: VecDeque<Item>,
    /// The number of its frames that are set aside at its edge (see [`EdgeIn`]).
    pub(super) aside: usize,
    /// The promise of its sender, and the one before it ended.
    pub(super) watermark: Time,
    before: Time,
    /// Left out of the minimum until it speaks again.
    pub(super) idle: bool,
    /// The channel's barrier has come; it waits for the others'.
    pub(super) aligned: bool,
    /// The channel takes part (a new slot's channel exists before the barrier at which it joins).
    pub(super) joined: bool,
}

/// The step to take when the call that an operator has not finished is finished.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing more.
    Nothing,
    /// Fire what is due under these watermarks too, each under its tag; then pass the node's watermark on.
    Watermark(VecDeque<(Watermarks, Option<Tag>)>),
    /// Go on with the barrier.
    Align(Arc<Barrier>),
    /// Tell downstream that nothing is to be expected for now.
    Idle,
    /// The timers of a batch have fired here.
    Fired,
}

/// A part of a batch, ready for the operator.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) port: u8,
    pub(super) batch: Batch,
    pub(super) tag: Option<Tag>,
}

/// An exchange edge as its consumer sees it: which tagged frames must wait (role X of a cut).
#[derive(Debug)]
pub(super) struct EdgeIn {
    pub(super) edge: u32,
    pub(super) consumer: Consumer,
    /// Frames set aside, by tag, in the order in which they came, with the index of their channel.
    pub(super) aside: Vec<(Tag, VecDeque<(usize, Batch)>)>,
}

/// The body of a node.
pub(super) enum Body {
    Source(Box<SourceState>),
    Operator { op: Box<dyn Operator>, keyed: bool },
    Sink(SinkState),
}

/// The destination of an output.
#[derive(Debug)]
pub(super) enum Out {
    /// To the channel with this index of another node of this slot.
    Local { output: u8, node: usize, channel: usize },
    /// To other slots.
    Exchange { output: u8, exchange: Box<Exchange> },
}

/// A node of one slot.
pub(super) struct NodeState {
    pub(super) id: NodeId,
    pub(super) body: Body,
    pub(super) channels: Vec<Channel>,
    pub(super) outs: Vec<Out>,
    /// The node's exchange inputs, by edge.
    pub(super) edges: Vec<EdgeIn>,
    /// Parts of the item taken last that the operator has not had yet.
    pub(super) parts: VecDeque<Part>,
    /// The number of Drained of each open batch that have come on local inputs.
    pub(super) drained: Vec<(u64, usize)>,
    /// The number of local inputs that carry rows of a keyed node.
    pub(super) keyed_inputs: usize,
    /// The epoch that the node is in. Nodes of one slot pass a barrier one after the other: what a sink gets behind its own barrier
    /// belongs to the next epoch, however far the others are (I2).
    pub(super) epoch: u64,
    /// The node's own watermark: the minimum of its channels, never falling.
    pub(super) own: Time,
    /// The watermark that it has promised downstream.
    pub(super) emitted: Time,
    /// True if it has said downstream that nothing is to be expected.
    pub(super) idle: bool,
    /// The next channel to look at.
    pub(super) turn: usize,
    /// An unfinished call, and what follows it.
    pub(super) unfinished: Option<Then>,
    /// The watermarks under which an unfinished call began; it goes on under them, whatever happens meanwhile.
    pub(super) under: Option<Watermarks>,
    /// Rows were emitted because event time moved on: nobody should wait for them.
    pub(super) urgent: bool,
    /// Rows emitted in the call under way belong to this cut.
    pub(super) tag: Option<Tag>,
    /// Rows in and out, late rows: for metrics.
    pub(super) rows_in: u64,
    pub(super) rows_out: u64,
    pub(super) late: u64,
}

impl NodeState {
    pub(super) fn is_keyed(&self) -> bool {
        matches!(self.body, Body::Operator { keyed: true, .. })
    }

    /// True if no call is unfinished and no part of an item is left.
    pub(super) fn rests(&self) -> bool {
        self.unfinished.is_none() && self.parts.is_empty()
    }

    /// The watermark that the channels make together; `None` if nothing is to be expected of any.
    pub(super) fn input_watermark(&self, rules: RuleSet) -> Option<Time> {
        let left_behind = self.channels.iter().all(|c| c.idle || !c.joined);
        self.minimum().filter(|_| !left_behind || rules.highest_before_idle())
    }

    /// The promise of the joined channels together, if the node has not come to it; `None` if all are idle and it has.
    fn minimum(&self) -> Option<Time> {
        let joined = self.channels.iter().filter(|c| c.joined);
        let together = ChannelWatermark::together(joined.clone().map(|c| (c.edge, c.channel_watermark())));
        if joined.clone().all(|c| c.idle) { together.filter(|w| *w > self.own) } else { Some(together.unwrap_or(self.own)) }
    }

    /// True if there may be something to take.
    pub(super) fn has_item(&self) -> bool {
        self.channels.iter().any(Channel::ready) || self.edges.iter().any(|e| !e.aside.is_empty())
    }

    /// True if every joined channel has had its barrier.
    pub(super) fn all_aligned(&self) -> bool {
        self.channels.iter().filter(|c| c.joined).all(|c| c.aligned)
    }

    /// The channel of an edge from a slot; made, not yet joined, if it does not exist.
    pub(super) fn channel(&mut self, edge: u32, port: u8, from: SlotId) -> usize {
        if let Some(i) = self.channels.iter().position(|c| c.edge == edge && c.from == from) {
            return i;
        }
        self.channels.push(Channel::new(edge, from, port, true, false));
        self.channels.len() - 1
    }

    /// True if everything it emits can go somewhere at once.
    pub(super) fn exchanges_open(&self) -> bool {
        self.outs.iter().all(|o| match o {
            Out::Exchange { exchange, .. } => exchange.open(),
            Out::Local { .. } => true,
        })
    }
}

impl Channel {
    pub(super) fn new(edge: u32, from: SlotId, port: u8, exchanged: bool, joined: bool) -> Self {
        Self {
            edge,
            from,
            port,
            exchanged,
            queue: VecDeque::new(),
            aside: 0,
            watermark: Time::MIN,
            before: Time::MIN,
            idle: false,
            aligned: false,
            joined,
        }
    }

    /// The words of its sender about time.
    pub(super) fn channel_watermark(&self) -> ChannelWatermark {
        let before = if self.watermark == Time::MAX { self.before } else { self.watermark };
        ChannelWatermark { watermark: self.watermark, idle: self.idle, before }
    }

    /// The sender promises more.
    pub(super) fn promised(&mut self, w: Time) {
        if w == Time::MAX && self.watermark != Time::MAX {
            self.before = self.watermark;
        }
        self.watermark = self.watermark.max(w);
        self.idle = false;
    }

    /// True if its next item may be taken now.
    pub(super) fn ready(&self) -> bool {
        self.joined && !self.aligned && !self.queue.is_empty() && !(self.blocked_by_aside())
    }

    /// A barrier or fence waits until the rows set aside before it have been taken: they belong before it.
    fn blocked_by_aside(&self) -> bool {
        self.aside > 0 && matches!(self.queue.front(), Some(Item::Barrier(_) | Item::Fence(_)))
    }
}

impl EdgeIn {
    pub(super) fn set_aside(&mut self, tag: Option<Tag>, channel: usize, batch: Batch) {
        let Some(tag) = tag else { return };
        match self.aside.iter_mut().find(|(t, _)| *t == tag) {
            Some((_, frames)) => frames.push_back((channel, batch)),
            None => self.aside.push((tag, VecDeque::from([(channel, batch)]))),
        }
    }

    pub(super) fn take_aside(&mut self, tag: Tag) -> Option<(usize, Batch)> {
        let at = self.aside.iter().position(|(t, _)| *t == tag)?;
        let (_, frames) = self.aside.get_mut(at)?;
        let taken = frames.pop_front();
        if frames.is_empty() {
            self.aside.remove(at);
        }
        taken
    }
}
