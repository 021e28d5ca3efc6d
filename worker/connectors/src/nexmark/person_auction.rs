//! The columns of a person and of an auction.

use std::ops::Range;

use arrow::array::ArrayRef;

use super::column::{Make, numbers};
use super::stream::{
    AUCTIONS, FIRST_AUCTION, FIRST_CATEGORY, FIRST_PERSON, ROUND, Stream, below, last_auction, last_person, price, some_person,
};
use super::text::{extra, letters, one_of, some_letters, texts};
use crate::random::mix;

const FIRST_NAMES: [&str; 11] = ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];

pub(crate) const PERSON: &[(&str, Make)] = &[
    ("id", |s, rows| numbers(s, rows, |e| (last_person(e) + FIRST_PERSON) as i64)),
    ("name", |s, rows| {
        let chance = s.chance(0x201);
        texts(s, rows, 12, |e, out| {
            let bits = chance.bits(e);
            out.extend_from_slice(one_of(&FIRST_NAMES, bits).as_bytes());
            out.push(b' ');
            out.extend_from_slice(one_of(&LAST_NAMES, mix(bits)).as_bytes());
        })
    }),
    ("emailaddress", |s, rows| {
        let chance = s.chance(0x202);
        texts(s, rows, 17, |e, out| {
            let bits = chance.bits(e);
            letters(bits, 3 + below(bits, 5) as usize, out);
            out.push(b'@');
            letters(mix(bits), 3 + below(mix(bits), 3) as usize, out);
            out.extend_from_slice(b".com");
        })
    }),
    ("creditcard", |s, rows| {
        let chance = s.chance(0x203);
        texts(s, rows, 19, |e, out| {
            let bits = chance.bits(e);
            for group in 0..4 {
                if group > 0 {
                    out.push(b' ');
                }
                let n = below(bits.rotate_left(16 * group), 10_000);
                out.extend([n / 1000, n / 100 % 10, n / 10 % 10, n % 10].map(|d| b'0' + d as u8));
            }
        })
    }),
    ("city", |s, rows| words(s, rows, 0x204, &CITIES)),
    ("state", |s, rows| words(s, rows, 0x205, &STATES)),
    ("datetime", |s, rows| s.times(rows, |_| 0)),
    ("extra", |s, rows| extra(s, rows, 0x206, 120)),
];

pub(crate) const AUCTION: &[(&str, Make)] = &[
    ("id", |s, rows| numbers(s, rows, |e| (last_auction(e) + FIRST_AUCTION) as i64)),
    ("itemname", |s, rows| {
        let chance = s.chance(0x301);
        texts(s, rows, 12, |e, out| some_letters(chance, e, 3, 20, out))
    }),
    ("description", |s, rows| {
        let chance = s.chance(0x302);
        texts(s, rows, 52, |e, out| some_letters(chance, e, 3, 100, out))
    }),
    ("initialbid", |s, rows| numbers(s, rows, |e| initial(s, e))),
    ("reserve", |s, rows| {
        let chance = s.chance(0x304);
        numbers(s, rows, |e| initial(s, e) + price(chance.unit(e)))
    }),
    ("datetime", |s, rows| s.times(rows, |_| 0)),
    ("expires", |s, rows| {
        let chance = s.chance(0x305);
        // As long as a hundred auctions in flight need to be opened, twice that at most, and at least a millisecond.
        let horizon = (100 * ROUND / AUCTIONS * 1000 / s.density()).max(1);
        s.times(rows, |e| 1 + below(chance.bits(e), horizon * 2) as i64)
    }),
    ("seller", |s, rows| {
        let chance = s.chance(0x306);
        numbers(s, rows, |e| {
            let bits = chance.bits(e);
            let id = if below(bits, 100) > 0 { last_person(e) / 100 * 100 } else { some_person(e, mix(bits)) };
            (id + FIRST_PERSON) as i64
        })
    }),
    ("category", |s, rows| {
        let chance = s.chance(0x307);
        numbers(s, rows, |e| (FIRST_CATEGORY + chance.below(e, 5)) as i64)
    }),
    ("extra", |s, rows| extra(s, rows, 0x308, 400)),
];

fn initial(s: &Stream, event: u64) -> i64 {
    price(s.chance(0x303).unit(event))
}

fn words(s: &Stream, rows: Range<u64>, salt: u64, of: &'static [&'static str]) -> ArrayRef {
    let chance = s.chance(salt);
    texts(s, rows, 8, |e, out| out.extend_from_slice(one_of(of, chance.bits(e)).as_bytes()))
}
