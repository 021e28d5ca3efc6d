//! Two processes on loopback: each a set of links with a port of its own, joined through a proxy that can be cut.

mod control;
mod data;
mod guard;
mod job;
mod support;

pub(super) use support::graph;
