//! The values of many groups as columns, one lane a call: updated by (group number, row) pairs, a lane at a time.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use watershed_runtime::error::{Error, Result};

use super::call::Keeping;
use super::state::{Cell, Group, Grouping, Value, WIDE, add_to_bag};
use crate::Op;
use crate::key::integers;

/// Selected rows of a batch, and the group of each.
pub(super) struct Picked<'a> {
    /// The rows; `None` for all.
    pub(super) rows: Option<&'a [u32]>,
    /// The group of each of them.
    pub(super) groups: &'a [u32],
    /// Operations of the whole batch, or empty.
    pub(super) ops: &'a [Op],
}

impl Picked<'_> {
    /// Calls `f` with the group, the row and its sign. Three loops, so that the common one has nothing to ask.
    #[inline]
    fn each(&self, mut f: impl FnMut(usize, usize, i64)) {
        match (self.rows, self.ops.is_empty()) {
            (None, true) => self.groups.iter().enumerate().for_each(|(row, g)| f(*g as usize, row, 1)),
            (None, false) => {
                self.groups.iter().zip(self.ops).enumerate().for_each(|(row, (g, op))| f(*g as usize, row, op.sign()));
            }
            (Some(rows), _) => {
                for (g, row) in self.groups.iter().zip(rows) {
                    let row = *row as usize;
                    f(*g as usize, row, self.ops.get(row).map_or(1, |op| op.sign()));
                }
            }
        }
    }
}

#[derive(Debug)]
enum Lane {
    Count(Vec<i64>),
    Sum(Vec<(i128, i64)>),
    Wide(Vec<(i128, i128, i64)>),
    Float(Vec<(f64, i64)>),
    Integer(Vec<Option<i64>>, bool),
    Extreme(Vec<Option<Value>>, bool),
    Bag(Vec<BTreeMap<Value, i64>>),
}

/// All lanes of an aggregation.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Rows of each group.
    rows: Vec<i64>,
    lanes: Vec<(usize, Lane)>,
}

fn wrong_type() -> Error {
    Error::broken("aggregate", "an argument has another type than the plan says")
}

impl Lanes {
    pub(super) fn new(grouping: &Grouping) -> Self {
        let mut lanes = Vec::new();
        for (call, keeping) in grouping.calls.iter().zip(grouping.keeping.iter()) {
            let Some((column, _)) = &call.argument else { continue };
            let lane = match *keeping {
                Keeping::Rows => continue,
                Keeping::Count => Lane::Count(Vec::new()),
                Keeping::Sum => Lane::Sum(Vec::new()),
                Keeping::Wide => Lane::Wide(Vec::new()),
                Keeping::Float => Lane::Float(Vec::new()),
                Keeping::Integer { max } => Lane::Integer(Vec::new(), max),
                Keeping::Extreme { max } => Lane::Extreme(Vec::new(), max),
                Keeping::Bag => Lane::Bag(Vec::new()),
            };
            lanes.push((*column, lane));
        }
        Self { rows: Vec::new(), lanes }
    }

    /// Makes room for groups up to `groups`.
    pub(super) fn grow(&mut self, groups: usize) {
        self.rows.resize(groups, 0);
        for (_, lane) in &mut self.lanes {
            match lane {
                Lane::Count(v) => v.resize(groups, 0),
                Lane::Sum(v) => v.resize(groups, (0, 0)),
                Lane::Wide(v) => v.resize(groups, (0, 0, 0)),
                Lane::Float(v) => v.resize(groups, (0.0, 0)),
                Lane::Integer(v, _) => v.resize(groups, None),
                Lane::Extreme(v, _) => v.resize(groups, None),
                Lane::Bag(v) => v.resize(groups, BTreeMap::new()),
            }
        }
    }

    /// Adds rows to their groups.
    pub(super) fn add(&mut self, batch: &RecordBatch, picked: &Picked<'_>) -> Result<()> {
        let rows = &mut self.rows;
        picked.each(|g, _, sign| {
            if let Some(n) = rows.get_mut(g) {
                *n += sign;
            }
        });
        for (column, lane) in &mut self.lanes {
            let column = batch.columns().get(*column).ok_or_else(wrong_type)?;
            lane.add(column, picked)?;
        }
        Ok(())
    }

    /// The groups' values, in order; nothing is left.
    pub(super) fn drain(&mut self) -> Vec<Group> {
        let rows = std::mem::take(&mut self.rows);
        let mut groups: Vec<(i64, Vec<Cell>)> = rows.into_iter().map(|n| (n, Vec::new())).collect();
        for (_, lane) in &mut self.lanes {
            let cells: Box<dyn Iterator<Item = Cell>> = match lane {
                Lane::Count(v) => Box::new(v.drain(..).map(Cell::Count)),
                Lane::Sum(v) => Box::new(v.drain(..).map(|(s, n)| Cell::Sum(s, n))),
                Lane::Wide(v) => Box::new(v.drain(..).map(|(high, low, n)| Cell::Wide(high, low, n))),
                Lane::Float(v) => Box::new(v.drain(..).map(|(s, n)| Cell::Float(s, n))),
                Lane::Integer(v, _) => Box::new(v.drain(..).map(|x| Cell::Extreme(x.map(Value::Int)))),
                Lane::Extreme(v, _) => Box::new(v.drain(..).map(Cell::Extreme)),
                Lane::Bag(v) => Box::new(v.drain(..).map(Cell::Bag)),
            };
            for ((_, group), cell) in groups.iter_mut().zip(cells) {
                group.push(cell);
            }
        }
        groups.into_iter().map(|(rows, cells)| Group { rows, cells: cells.into() }).collect()
    }
}

impl Lane {
    fn add(&mut self, column: &ArrayRef, picked: &Picked<'_>) -> Result<()> {
        let nulls = column.logical_nulls();
        let valid = |row: usize| nulls.as_ref().is_none_or(|n| n.is_valid(row));
        match self {
            Self::Count(counts) => picked.each(|g, row, sign| {
                if valid(row)
                    && let Some(n) = counts.get_mut(g)
                {
                    *n += sign;
                }
            }),
            Self::Sum(sums) => return add_sums(sums, column, picked, valid),
            Self::Wide(sums) => return add_wide(sums, column, picked, valid),
            Self::Float(sums) => {
                let wide = cast(column, &DataType::Float64).map_err(|_| wrong_type())?;
                let values = wide.as_primitive_opt::<Float64Type>().ok_or_else(wrong_type)?.values();
                picked.each(|g, row, sign| {
                    if let (true, Some((s, n)), Some(v)) = (valid(row), sums.get_mut(g), values.get(row)) {
                        *s += *v * sign as f64;
                        *n += sign;
                    }
                });
            }
            Self::Integer(extremes, max) => {
                let (numbers, max) = (integers(column)?, *max);
                let values = numbers.values();
                picked.each(|g, row, _| {
                    if let (true, Some(e), Some(v)) = (valid(row), extremes.get_mut(g), values.get(row))
                        && e.is_none_or(|e| if max { *v > e } else { *v < e })
                    {
                        *e = Some(*v);
                    }
                });
            }
            Self::Extreme(extremes, max) => {
                let (read, max) = (reader(column)?, *max);
                picked.each(|g, row, _| {
                    if let (true, Some(e)) = (valid(row), extremes.get_mut(g)) {
                        let v = read(row);
                        if e.as_ref().is_none_or(|e| if max { v > *e } else { v < *e }) {
                            *e = Some(v);
                        }
                    }
                });
            }
            Self::Bag(bags) => {
                let read = reader(column)?;
                picked.each(|g, row, sign| {
                    if let (true, Some(bag)) = (valid(row), bags.get_mut(g)) {
                        add_to_bag(bag, read(row), sign);
                    }
                });
            }
        }
        Ok(())
    }
}

fn add_sums(sums: &mut [(i128, i64)], column: &ArrayRef, picked: &Picked<'_>, valid: impl Fn(usize) -> bool) -> Result<()> {
    if let Some(decimals) = column.as_primitive_opt::<Decimal128Type>() {
        let values = decimals.values();
        picked.each(|g, row, sign| {
            if let (true, Some((s, n)), Some(v)) = (valid(row), sums.get_mut(g), values.get(row)) {
                *s = s.wrapping_add(v.wrapping_mul(i128::from(sign)));
                *n += sign;
            }
        });
        return Ok(());
    }
    let numbers = integers(column)?;
    let values = numbers.values();
    picked.each(|g, row, sign| {
        if let (true, Some((s, n)), Some(v)) = (valid(row), sums.get_mut(g), values.get(row)) {
            *s += i128::from(*v) * i128::from(sign);
            *n += sign;
        }
    });
    Ok(())
}

fn add_wide(sums: &mut [(i128, i128, i64)], column: &ArrayRef, picked: &Picked<'_>, valid: impl Fn(usize) -> bool) -> Result<()> {
    let values = column.as_primitive_opt::<Decimal128Type>().ok_or_else(wrong_type)?.values();
    picked.each(|g, row, sign| {
        if let (true, Some((high, low, n)), Some(v)) = (valid(row), sums.get_mut(g), values.get(row)) {
            *high += v / WIDE * i128::from(sign);
            *low += v % WIDE * i128::from(sign);
            *n += sign;
        }
    });
    Ok(())
}

/// Reads values of any type that can be compared.
fn reader(column: &ArrayRef) -> Result<Box<dyn Fn(usize) -> Value>> {
    Ok(match column.data_type() {
        DataType::Utf8 => {
            let a = column.as_string_opt::<i32>().ok_or_else(wrong_type)?.clone();
            Box::new(move |row| Value::Text(a.value(row).into()))
        }
        DataType::Binary => {
            let a = column.as_binary_opt::<i32>().ok_or_else(wrong_type)?.clone();
            Box::new(move |row| Value::Bytes(a.value(row).to_vec()))
        }
        DataType::Boolean => {
            let a = column.as_boolean_opt().ok_or_else(wrong_type)?.clone();
            Box::new(move |row| Value::Bool(a.value(row)))
        }
        DataType::Decimal128(..) => {
            let a = column.as_primitive_opt::<Decimal128Type>().ok_or_else(wrong_type)?.clone();
            Box::new(move |row| Value::Decimal(a.value(row)))
        }
        DataType::Float32 | DataType::Float64 => {
            let wide = cast(column, &DataType::Float64).map_err(|_| wrong_type())?;
            let a = wide.as_primitive_opt::<Float64Type>().ok_or_else(wrong_type)?.clone();
            // One zero and one NaN, so that a value taken back is found.
            let one = |v: f64| {
                if v == 0.0 {
                    0.0
                } else if v.is_nan() {
                    f64::NAN
                } else {
                    v
                }
            };
            Box::new(move |row| Value::Float(one(a.value(row))))
        }
        _ => {
            let a = integers(column)?;
            Box::new(move |row| Value::Int(a.value(row)))
        }
    })
}
