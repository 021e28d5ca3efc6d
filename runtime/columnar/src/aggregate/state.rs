//! The value of one group: what tables hold, snapshots store and moves carry.
//!
//! Sums of integers and decimals are exact, in 128 bits or twice as many, and only checked against their type when they leave, so that
//! neither the order of rows nor a transient overflow changes a result. Where rows are taken back, least and greatest keep every value with
//! its number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watershed_runtime::key::Str;
use watershed_runtime::operator::aggregate::Aggregation;

use super::call::{Call, CallKind, Keeping};

/// A value of an argument, in an order that is the SQL one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// An integer, a date or a time-stamp.
    Int(i64),
    /// A decimal's digits.
    Decimal(i128),
    /// A float; NaN is the greatest, and zero has one sign.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(Str),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |v: &Self| match v {
            Self::Int(_) => 0,
            Self::Decimal(_) => 1,
            Self::Float(_) => 2,
            Self::Bool(_) => 3,
            Self::Text(_) => 4,
            Self::Bytes(_) => 5,
        };
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }
}

/// The value of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// The number of values.
    Count(i64),
    /// An exact sum and the number of values.
    Sum(i128, i64),
    /// A sum of doubles and the number of values.
    Float(f64, i64),
    /// The least or greatest so far.
    Extreme(Option<Value>),
    /// Every value with its number; never zero.
    Bag(BTreeMap<Value, i64>),
    /// An exact sum of long decimals as a multiple of [`WIDE`] and a rest, and the number of values. Neither part can overflow.
    Wide(i128, i128, i64),
}

/// The factor that splits a long decimal into a multiple and a rest.
pub const WIDE: i128 = 10_000_000_000_000_000_000;

/// The value of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The number of rows in the group, less those taken back.
    pub rows: i64,
    /// The value of each call that needs one.
    pub cells: Box<[Cell]>,
}

/// The calls of an aggregation, and the stored form of each.
#[derive(Clone, Debug)]
pub struct Grouping {
    pub(crate) calls: std::sync::Arc<[Call]>,
    pub(crate) keeping: std::sync::Arc<[Keeping]>,
}

impl Grouping {
    /// For these calls; `retracting` if rows may be taken back.
    #[must_use]
    pub fn new(calls: Vec<Call>, retracting: bool) -> Self {
        let keeping = calls.iter().map(|c| c.keeping(retracting)).collect();
        Self { calls: calls.into(), keeping }
    }

    /// The group without rows.
    #[must_use]
    pub fn empty(&self) -> Group {
        let cells = self.keeping.iter().filter_map(|k| match k {
            Keeping::Rows => None,
            Keeping::Count => Some(Cell::Count(0)),
            Keeping::Sum => Some(Cell::Sum(0, 0)),
            Keeping::Wide => Some(Cell::Wide(0, 0, 0)),
            Keeping::Float => Some(Cell::Float(0.0, 0)),
            Keeping::Integer { .. } | Keeping::Extreme { .. } => Some(Cell::Extreme(None)),
            Keeping::Bag => Some(Cell::Bag(BTreeMap::new())),
        });
        Group { rows: 0, cells: cells.collect() }
    }

    /// The group as it looks from outside: of a bag of values only the one that is the result. Cheap to keep and to compare.
    pub(super) fn visible(&self, group: &Group) -> Group {
        let over = self.calls.iter().filter(|c| c.argument.is_some());
        let cell = |(cell, call): (&Cell, &Call)| match cell {
            Cell::Bag(bag) => Cell::Extreme(of_bag(call.kind, bag).cloned()),
            Cell::Count(_) | Cell::Sum(..) | Cell::Wide(..) | Cell::Float(..) | Cell::Extreme(_) => cell.clone(),
        };
        Group { rows: group.rows, cells: group.cells.iter().zip(over).map(cell).collect() }
    }

    fn merge_cell(keeping: Keeping, into: &mut Cell, other: Cell) {
        match (into, other) {
            (Cell::Count(a), Cell::Count(b)) => *a += b,
            (Cell::Sum(a, n), Cell::Sum(b, m)) => {
                *a = a.wrapping_add(b);
                *n += m;
            }
            (Cell::Wide(a, b, n), Cell::Wide(c, d, m)) => {
                *a += c;
                *b += d;
                *n += m;
            }
            (Cell::Float(a, n), Cell::Float(b, m)) => {
                *a += b;
                *n += m;
            }
            (Cell::Extreme(a), Cell::Extreme(Some(b))) => {
                let max = matches!(keeping, Keeping::Integer { max: true } | Keeping::Extreme { max: true });
                if a.as_ref().is_none_or(|a| if max { b > *a } else { b < *a }) {
                    *a = Some(b);
                }
            }
            (Cell::Bag(a), Cell::Bag(b)) => {
                for (value, n) in b {
                    add_to_bag(a, value, n);
                }
            }
            // Cells of one place are of one kind, and an empty extreme changes nothing.
            (Cell::Count(_) | Cell::Sum(..) | Cell::Wide(..) | Cell::Float(..) | Cell::Extreme(_) | Cell::Bag(_), _) => {}
        }
    }
}

/// The least or greatest value that is there more often than it was taken back.
pub(super) fn of_bag(kind: CallKind, bag: &BTreeMap<Value, i64>) -> Option<&Value> {
    let mut all = bag.iter().filter(|(_, n)| **n > 0).map(|(v, _)| v);
    if kind == CallKind::Max { all.next_back() } else { all.next() }
}

/// Counts a value, or takes it back.
pub(super) fn add_to_bag(bag: &mut BTreeMap<Value, i64>, value: Value, n: i64) {
    use std::collections::btree_map::Entry;
    match bag.entry(value) {
        Entry::Occupied(mut e) => {
            *e.get_mut() += n;
            if *e.get() == 0 {
                e.remove();
            }
        }
        Entry::Vacant(e) => {
            if n != 0 {
                e.insert(n);
            }
        }
    }
}

/// Rows never come here one by one: the combiner adds them in columns.
impl Aggregation<()> for Grouping {
    type Value = Group;

    fn zero(&self) -> Group {
        self.empty()
    }

    fn add(&self, value: &mut Group, _row: &()) {
        value.rows += 1;
    }

    #[inline]
    fn merge(&self, value: &mut Group, other: Group) {
        value.rows += other.rows;
        let keeping = self.keeping.iter().filter(|k| **k != Keeping::Rows);
        for ((into, other), k) in value.cells.iter_mut().zip(other.cells).zip(keeping) {
            Self::merge_cell(*k, into, other);
        }
    }
}
