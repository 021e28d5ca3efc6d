//! The low-level keyed operator: one or two inputs, state, event-time timers, side outputs.
//!
//! The user's function sees one row and the state of its key. The state is one value of the user's type (make it a struct for several);
//! timers are entries of a table of their own, so they are snapshotted and moved like everything else.

use std::collections::BTreeMap;

use crate::container::{Batch, Data, Rows};
use crate::error::Result;
use crate::key::{GroupSet, Key, KeySpace};
use crate::operator::apply::typed;
use crate::operator::{CALL_ROWS, Context, Flow, Operator};
use crate::state::{ErasedTable, Plain, Slot, StateDesc, StateValue, Table, Windowed};
use crate::time::Time;

/// A row of the first or the second input.
#[derive(Clone, Debug)]
pub enum Either<A, B> {
    /// From the stream the operator was called on.
    Left(A),
    /// From the other stream.
    Right(B),
}

/// The context with which the user's function is called.
#[derive(Debug)]
pub struct Keyed<'a, K, S, O> {
    /// The key.
    pub key: &'a K,
    /// The key's state: its default if there was none. `None` after [`Keyed::clear`].
    pub state: &'a mut S,
    /// The event time of the row, or of the timer.
    pub time: Time,
    /// The watermark that holds for the key.
    pub watermark: Time,
    out: &'a mut Outputs<O>,
}

#[derive(Debug)]
struct Outputs<O> {
    main: Rows<O>,
    side: Rows<O>,
    timers: Vec<Time>,
    clear: bool,
}

impl<K, S, O: Data> Keyed<'_, K, S, O> {
    /// Emits a row with the present time.
    pub fn emit(&mut self, row: O) {
        self.out.main.rows.push(row);
        self.out.main.times.push(self.time);
    }

    /// Emits a row on the side output.
    pub fn emit_side(&mut self, row: O) {
        self.out.side.rows.push(row);
        self.out.side.times.push(self.time);
    }

    /// Calls the timer function for this key when the watermark reaches `time`. Setting the same time twice is setting it once.
    pub fn set_timer(&mut self, time: Time) {
        self.out.timers.push(time);
    }

    /// Forgets the key's state after this call.
    pub fn clear(&mut self) {
        self.out.clear = true;
    }
}

/// The user's functions.
pub trait Process<K, A, B>: Send + 'static {
    /// The state of a key.
    type State: StateValue + Default;
    /// Rows that are emitted, on both outputs.
    type Out: Data;
    /// A row.
    fn row(&mut self, row: Either<A, B>, cx: &mut Keyed<'_, K, Self::State, Self::Out>);
    /// A timer that is due.
    fn timer(&mut self, cx: &mut Keyed<'_, K, Self::State, Self::Out>);
}

/// A process function from a closure for rows and one for timers.
#[derive(Debug)]
pub struct Closures<S, O, R, M> {
    row: R,
    timer: M,
    types: std::marker::PhantomData<fn() -> (S, O)>,
}

impl<S, O, R, M> Closures<S, O, R, M> {
    /// Rows go to `row`, due timers to `timer`.
    pub fn new(row: R, timer: M) -> Self {
        Self { row, timer, types: std::marker::PhantomData }
    }
}

impl<K, A, B, S, O, R, M> Process<K, A, B> for Closures<S, O, R, M>
where
    S: StateValue + Default,
    O: Data,
    R: FnMut(Either<A, B>, &mut Keyed<'_, K, S, O>) + Send + 'static,
    M: FnMut(&mut Keyed<'_, K, S, O>) + Send + 'static,
{
    type State = S;
    type Out = O;
    fn row(&mut self, row: Either<A, B>, cx: &mut Keyed<'_, K, S, O>) {
        (self.row)(row, cx);
    }
    fn timer(&mut self, cx: &mut Keyed<'_, K, S, O>) {
        (self.timer)(cx);
    }
}

/// The time and the hash for which the user's function is called.
#[derive(Clone, Copy)]
struct At {
    hash: u64,
    time: Time,
    watermark: Time,
}

/// The operator around a [`Process`].
pub struct ProcessOperator<K: Key, A, B, P: Process<K, A, B>> {
    process: P,
    states: Table<Plain<K>, P::State>,
    timers: Table<Windowed<K>, ()>,
    due: BTreeMap<Time, Vec<(Slot, u64)>>,
    input: std::marker::PhantomData<fn(A, B)>,
}

impl<K: Key, A: Data, B: Data, P: Process<K, A, B>> ProcessOperator<K, A, B, P> {
    /// An operator around `process`; states not written for `ttl_micros` of processing time are forgotten.
    pub fn new(process: P, ttl_micros: Option<u64>, space: KeySpace) -> Self {
        let desc = StateDesc::of::<K, P::State>("state");
        let desc = match ttl_micros {
            Some(ttl) => desc.expiring(ttl),
            None => desc,
        };
        Self {
            process,
            states: Table::new(desc, space),
            timers: Table::new(StateDesc::of::<(i64, K), ()>("timers"), space),
            due: BTreeMap::new(),
            input: std::marker::PhantomData,
        }
    }

    /// Runs one call of the user's functions on a key's state.
    fn with_state(
        &mut self,
        key: &K,
        at: At,
        out: &mut Outputs<P::Out>,
        call: impl FnOnce(&mut P, &mut Keyed<'_, K, P::State, P::Out>),
    ) -> Result<()> {
        let At { hash, time, watermark } = at;
        let process = &mut self.process;
        let (mains, sides) = (out.main.rows.len(), out.side.rows.len());
        self.states.update(
            hash,
            0,
            |k| k.0 == *key,
            || (Plain(key.clone()), P::State::default()),
            |state| {
                let mut keyed = Keyed { key, state, time, watermark, out };
                call(process, &mut keyed);
            },
        )?;
        out.main.hashes.extend(std::iter::repeat_n(hash, out.main.rows.len() - mains));
        out.side.hashes.extend(std::iter::repeat_n(hash, out.side.rows.len() - sides));
        if std::mem::take(&mut out.clear) {
            self.states.remove(hash, 0, |k| k.0 == *key)?;
        }
        for at in std::mem::take(&mut out.timers) {
            let start = at.0;
            if self.timers.get(hash, start as u64, |k| k.start == start && k.key == *key)?.is_none() {
                let make = || (Windowed { start, key: key.clone() }, ());
                let (slot, ()) =
                    self.timers.update_slot(hash, start as u64, |k| k.start == start && k.key == *key, make, |()| ())?;
                self.due.entry(at).or_default().push((slot, hash));
            }
        }
        Ok(())
    }

    fn fire(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        let highest = cx.watermarks.highest();
        let mut out = Outputs { main: Rows::default(), side: Rows::default(), timers: Vec::new(), clear: false };
        let mut behind: Vec<(Time, Vec<(Slot, u64)>)> = Vec::new();
        let mut flow = Flow::Done;
        'times: while let Some(first) = self.due.first_entry().filter(|e| *e.key() <= highest) {
            let (time, mut listed) = first.remove_entry();
            let mut left = Vec::new();
            while let Some((slot, hash)) = listed.pop() {
                let watermark = cx.watermarks.of_hash(hash);
                if watermark < time {
                    left.push((slot, hash));
                    continue;
                }
                let Some((key, (), found)) = self.timers.at(slot)? else { continue };
                if found != hash || key.start != time.0 {
                    continue;
                }
                let key = key.key.clone();
                self.timers.remove_at(slot)?;
                self.with_state(&key, At { hash, time, watermark }, &mut out, |p, keyed| p.timer(keyed))?;
                if out.main.rows.len() + out.side.rows.len() >= cx.call_rows {
                    listed.append(&mut left);
                    self.due.entry(time).or_default().append(&mut listed);
                    flow = Flow::More;
                    break 'times;
                }
            }
            if !left.is_empty() {
                behind.push((time, left));
            }
        }
        for (time, left) in behind {
            self.due.entry(time).or_default().extend(left);
        }
        emit(out, cx);
        Ok(flow)
    }
}

fn emit<O: Data>(out: Outputs<O>, cx: &mut Context<'_>) {
    cx.emit(Box::new(out.main));
    cx.emit_to(1, Box::new(out.side));
}

impl<K: Key, A: Data, B: Data, P: Process<K, A, B>> Operator for ProcessOperator<K, A, B, P> {
    fn on_batch(&mut self, port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow> {
        self.states.set_now(cx.now);
        let mut out = Outputs { main: Rows::default(), side: Rows::default(), timers: Vec::new(), clear: false };
        let mut each = |key: K, row: Either<A, B>, hash: u64, time: Time| {
            let watermark = cx.watermarks.of_hash(hash);
            self.with_state(&key, At { hash, time, watermark }, &mut out, |p, keyed| p.row(row, keyed))
        };
        if port == 0 {
            let rows = typed::<(K, A)>(batch)?;
            let mut times = rows.times.into_iter();
            for ((key, row), hash) in rows.rows.into_iter().zip(rows.hashes) {
                each(key, Either::Left(row), hash, times.next().unwrap_or(Time::MIN))?;
            }
        } else {
            let rows = typed::<(K, B)>(batch)?;
            let mut times = rows.times.into_iter();
            for ((key, row), hash) in rows.rows.into_iter().zip(rows.hashes) {
                each(key, Either::Right(row), hash, times.next().unwrap_or(Time::MIN))?;
            }
        }
        emit(out, cx);
        Ok(Flow::Done)
    }

    fn on_watermark(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.states.set_now(cx.now);
        self.fire(cx)
    }

    fn resume(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.fire(cx)
    }

    fn on_idle(&mut self, cx: &mut Context<'_>) -> Result<Flow> {
        self.states.set_now(cx.now);
        self.states.expire(CALL_ROWS)?;
        Ok(Flow::Done)
    }

    fn tables(&mut self, visit: &mut dyn FnMut(&mut dyn ErasedTable)) {
        visit(&mut self.states);
        visit(&mut self.timers);
    }

    fn after_absorb(&mut self, groups: &GroupSet, _watermark: Time) -> Result<()> {
        let mut found = Vec::new();
        for group in groups.iter() {
            found.extend(self.timers.group(group)?.map(|(slot, key, (), hash)| (Time(key.start), slot, hash)));
        }
        for (time, slot, hash) in found {
            self.due.entry(time).or_default().push((slot, hash));
        }
        Ok(())
    }

    fn after_release(&mut self, groups: &GroupSet) {
        self.due.retain(|_, listed| {
            listed.retain(|(_, hash)| !groups.contains_hash(*hash));
            !listed.is_empty()
        });
    }
}
