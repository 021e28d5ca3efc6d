//! What a read-modify-write of hot keyed state costs: 10^6 keys in random order, with epochs rolling.
//!
//! `cargo run --release -p watershed-runtime --example state_rmw [KEYS] [RMW AN EPOCH]`. The second number decides how many writes are
//! the first of their epoch (undo image, dirty mark); by default an epoch is as long as the keys are many, and 63 % are: the worst
//! case there is. `warmed` calls [`Table::warm`] 32 rows ahead, as an operator with a batch in its hands does.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::time::Instant;

use watershed_runtime::error::Result;
use watershed_runtime::key::{GroupSet, Key, KeySpace};
use watershed_runtime::state::{EncodedRun, Plain, StateDesc, Table};

type Counts = Table<Plain<u64>, u64>;

/// Rows looked ahead.
const AHEAD: usize = 32;

fn bump(table: &mut Counts, rows: &[(u64, u64)]) -> Result<()> {
    for (hash, key) in rows {
        table.update(*hash, 0, |k| k.0 == *key, || (Plain(*key), 0), |n| *n += 1)?;
    }
    Ok(())
}

fn bump_warmed(table: &mut Counts, rows: &[(u64, u64)]) -> Result<()> {
    for chunk in rows.chunks(AHEAD) {
        chunk.iter().for_each(|(hash, _)| table.warm(*hash, 0));
        bump(table, chunk)?;
    }
    Ok(())
}

type Bump = fn(&mut Counts, &[(u64, u64)]) -> Result<()>;

/// Rolls an epoch each `every` rows; nanoseconds a row for the writes alone, and with all epoch work on the same thread.
fn run(table: &mut Counts, rows: &[(u64, u64)], every: usize, bump: Bump) -> Result<(f64, f64)> {
    let (mut writes, begin) = (0.0, Instant::now());
    for part in rows.chunks(every) {
        let at = Instant::now();
        bump(table, part)?;
        writes += at.elapsed().as_secs_f64();
        let epoch = table.epoch();
        table.begin_epoch(epoch + 1)?;
        let mut run = EncodedRun::default();
        while !table.encode_dirty(epoch, 64 << 10, &mut run)? {}
        table.publish(epoch)?;
        while !table.sweep(4096) {}
    }
    let per = 1e9 / rows.len() as f64;
    Ok((writes * per, begin.elapsed().as_secs_f64() * per))
}

fn main() -> Result<()> {
    let arg = |n: usize, or: usize| std::env::args().nth(n).and_then(|a| a.parse().ok()).unwrap_or(or);
    let keys = arg(1, 1_000_000);
    let every = arg(2, keys);
    let space = KeySpace::default();
    let mut table = Counts::new(StateDesc::of::<u64, u64>("counts"), space);
    table.activate(&GroupSet::all(space));
    let mut x = 88_172_645_463_325_252u64;
    let mut random = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let rows: Vec<(u64, u64)> = (0..10 * keys).map(|_| random() % keys as u64).map(|k| (k.hash(space), k)).collect();
    let (fill, _) = run(&mut table, rows.get(..keys).unwrap_or(&rows), keys, bump)?;
    println!("keys {}, bytes a key {}", table.len(), table.bytes() / table.len().max(1));
    println!("fill                  {fill:7.1} ns an RMW, 63 % of them create");
    // In one epoch: what is hot stays hot.
    for (name, bump) in [("hot", bump as Bump), ("hot, warmed", bump_warmed)] {
        bump(&mut table, &rows)?;
        let at = Instant::now();
        bump(&mut table, &rows)?;
        println!("{name:<20}  {:7.1} ns an RMW", at.elapsed().as_secs_f64() * 1e9 / rows.len() as f64);
    }
    for (name, bump) in [("epochs", bump as Bump), ("epochs, warmed", bump_warmed)] {
        let (writes, all) = run(&mut table, &rows, every, bump)?;
        println!("{name:<20}  {writes:7.1} ns an RMW, an epoch each {every}; {all:.1} ns with encode, publish and sweep");
    }
    Ok(())
}
