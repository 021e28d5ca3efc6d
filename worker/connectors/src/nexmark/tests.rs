//! The benchmark's rules, and that any read of a table gives the same rows.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};

use super::rows::columns_of;
use super::stream::{Event, FIRST_AUCTION, FIRST_PERSON, Stream};

fn column(kind: Event, name: &str, rows: std::ops::Range<u64>) -> arrow::array::ArrayRef {
    let make = columns_of(kind).iter().find(|c| c.0 == name).unwrap().1;
    make(&Stream::new(7, kind, 10_000, None), rows)
}

fn ids(kind: Event, name: &str, rows: std::ops::Range<u64>) -> Vec<i64> {
    column(kind, name, rows).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn fifty_events_are_one_person_three_auctions_and_forty_six_bids() {
    let rows = |kind, events| Stream::new(0, kind, 1, None).rows_of(events);
    assert_eq!([Event::Person, Event::Auction, Event::Bid].map(|k| rows(k, 50)), [1, 3, 46]);
    assert_eq!([Event::Person, Event::Auction, Event::Bid].map(|k| rows(k, 103)), [3, 8, 92]);
    for n in 0..200 {
        assert_eq!([Event::Person, Event::Auction, Event::Bid].map(|k| rows(k, n)).iter().sum::<u64>(), n);
    }
}

#[test]
fn ids_count_up_and_bids_name_what_exists_or_soon_will() {
    let first = FIRST_AUCTION as i64;
    assert!(ids(Event::Auction, "id", 0..10_000).into_iter().eq(first..first + 10_000));
    let first = FIRST_PERSON as i64;
    assert!(ids(Event::Person, "id", 0..10_000).into_iter().eq(first..first + 10_000));
    for (i, (auction, bidder)) in
        ids(Event::Bid, "auction", 0..50_000).into_iter().zip(ids(Event::Bid, "bidder", 0..50_000)).enumerate()
    {
        let round = i as i64 / 46;
        assert!((1000..=1000 + round * 3 + 3 + 10).contains(&auction), "bid {i} on {auction}");
        assert!((1000..=1000 + round + 11).contains(&bidder), "bid {i} by {bidder}");
    }
}

#[test]
fn most_bids_go_to_the_hot_auction() {
    let hot = ids(Event::Bid, "auction", 0..100_000).into_iter().filter(|a| (a - 1000) % 100 == 0).count();
    assert!((98_000..100_000).contains(&hot), "{hot}");
}

#[test]
fn event_time_runs_with_the_events_of_all_kinds() {
    let times = |kind, rows| column(kind, "datetime", rows).as_primitive::<TimestampMillisecondType>().values().to_vec();
    let bids = times(Event::Bid, 0..460);
    assert!(bids.is_sorted());
    // Event 500 is person 10 and comes at 50 ms; bid 460 is event 504.
    assert_eq!(times(Event::Person, 10..11), [1_436_918_400_050]);
    assert_eq!(times(Event::Bid, 460..461), [1_436_918_400_050]);
    let expires = column(Event::Auction, "expires", 0..1000);
    let opened = times(Event::Auction, 0..1000);
    assert!(expires.as_primitive::<TimestampMillisecondType>().values().iter().zip(opened).all(|(e, o)| *e > o));
}

#[test]
fn any_cut_of_the_rows_gives_the_same_rows() {
    for kind in [Event::Person, Event::Auction, Event::Bid] {
        for (name, make) in columns_of(kind) {
            let stream = Stream::new(3, kind, 10_000, None);
            let whole = make(&stream, 0..500);
            let parts = [make(&stream, 0..1), make(&stream, 1..137), make(&stream, 137..500)];
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            assert_eq!(&arrow::compute::concat(&parts).unwrap(), &whole, "{name} of a {}", kind.name());
        }
    }
}

#[test]
fn prices_go_from_a_hundred_to_a_hundred_million_evenly_in_their_logarithm() {
    for i in 0..=1000 {
        let unit = f64::from(i) / 1001.0;
        let exact = 10f64.powf(unit * 6.0) * 100.0;
        let ours = super::stream::price(unit) as f64;
        assert!((ours - exact).abs() <= 0.5 + exact * 1e-9, "{unit}: {ours}, not {exact}");
    }
}

/// A change of these rows breaks stored results.
#[test]
fn the_first_bids_are_golden() {
    let text = |name| column(Event::Bid, name, 0..3).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>();
    let got = format!(
        "{:?} {:?} {:?} {:?}",
        ids(Event::Bid, "auction", 0..3),
        ids(Event::Bid, "price", 0..3),
        text("channel"),
        text("url")
    );
    assert_eq!(got, GOLDEN);
}

const GOLDEN: &str = "[1000, 1000, 1000] [75085, 55501, 93274618] [\"channel-1328\", \"channel-4579\", \"channel-2667\"] \
    [\"https://www.nexmark.com/jlmlg/ginoi/ielcj/item.htm?query=1&channel_id=211812352\", \
    \"https://www.nexmark.com/aafeb/bffpa/jdcaj/item.htm?query=1&channel_id=3347578880\", \
    \"https://www.nexmark.com/jokdh/moefo/dgink/item.htm?query=1&channel_id=3595567104\"]";
