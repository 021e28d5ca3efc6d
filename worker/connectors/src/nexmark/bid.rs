//! The columns of a bid.
//!
//! Of a hundred bids all but one go to the hot auction and come from the hot bidder of the moment, as in the benchmark's default
//! configuration. Half of the bids come through one of four hot channels.

use std::ops::Range;

use arrow::array::ArrayRef;

use super::column::{Make, numbers};
use super::stream::{FIRST_AUCTION, FIRST_PERSON, Stream, below, last_auction, last_person, price, some_auction, some_person};
use super::text::{extra, letters, number, one_of, texts};
use crate::random::mix;

pub(crate) const BID: &[(&str, Make)] = &[
    ("auction", auction),
    ("bidder", bidder),
    ("price", |s, rows| {
        let chance = s.chance(0x103);
        numbers(s, rows, |e| price(chance.unit(e)))
    }),
    ("channel", channel),
    ("url", url),
    ("datetime", |s, rows| s.times(rows, |_| 0)),
    ("extra", |s, rows| extra(s, rows, 0x106, 68)),
];

/// One in so many goes elsewhere than to the hot one; the hot one changes after as many births.
const HOT: u64 = 100;
const CHANNEL: u64 = 0x104;
const CHANNELS: u64 = 10_000;
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

fn auction(s: &Stream, rows: Range<u64>) -> ArrayRef {
    let chance = s.chance(0x101);
    numbers(s, rows, |e| {
        let bits = chance.bits(e);
        let hot = last_auction(e) / HOT * HOT;
        let id = if below(bits, HOT) > 0 { hot } else { some_auction(e, mix(bits)) };
        (id + FIRST_AUCTION) as i64
    })
}

fn bidder(s: &Stream, rows: Range<u64>) -> ArrayRef {
    let chance = s.chance(0x102);
    numbers(s, rows, |e| {
        let bits = chance.bits(e);
        let hot = last_person(e) / HOT * HOT + 1;
        let id = if below(bits, HOT) > 0 { hot } else { some_person(e, mix(bits)) };
        (id + FIRST_PERSON) as i64
    })
}

/// The hot channel of a bid, or the number of another.
#[inline]
fn pick(bits: u64) -> Result<&'static str, u64> {
    if bits & 1 == 1 { Ok(one_of(&HOT_CHANNELS, mix(bits))) } else { Err(below(mix(bits), CHANNELS)) }
}

fn channel(s: &Stream, rows: Range<u64>) -> ArrayRef {
    let chance = s.chance(CHANNEL);
    texts(s, rows, 10, |e, out| match pick(chance.bits(e)) {
        Ok(name) => out.extend_from_slice(name.as_bytes()),
        Err(n) => {
            out.extend_from_slice(b"channel-");
            number(n, out);
        }
    })
}

/// The address of an item: three directories, which belong to the channel.
fn url(s: &Stream, rows: Range<u64>) -> ArrayRef {
    let chance = s.chance(CHANNEL);
    texts(s, rows, 64, |e, out| {
        let picked = pick(chance.bits(e));
        let seed = match picked {
            Ok(name) => name.len() as u64,
            Err(n) => n + 16,
        };
        out.extend_from_slice(b"https://www.nexmark.com/");
        for directory in 0..3 {
            letters(mix(seed) ^ directory, 5, out);
            out.push(b'/');
        }
        out.extend_from_slice(b"item.htm?query=1");
        if let Err(n) = picked {
            out.extend_from_slice(b"&channel_id=");
            number(u64::from((n as u32).reverse_bits()), out);
        }
    })
}
