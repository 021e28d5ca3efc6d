//! Nexmark: the auction site of the public streaming benchmark, as three tables that are made and not read.
//!
//! Of fifty events the first is a new person, the next three are new auctions, the other forty-six are bids; ids, hot items and
//! prices follow the benchmark's rules. A table holds the events of one kind (`'event-type' = 'bid'`), so that nothing is made
//! only to be filtered out. Row `i` of a kind is a fixed event of the stream and a pure function of (seed, event): the
//! three tables of one seed fit together, whatever is read of them, in whatever order and by how many.
//!
//! Each column is its own loop ([`bid`], [`person_auction`]) and runs only when the column is projected: a query that looks at
//! numbers never pays for text. The options of a table are in `tables/nexmark.rs`.

mod bid;
mod column;
mod person_auction;
pub(crate) mod rows;
pub(crate) mod stream;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use column::Make;
