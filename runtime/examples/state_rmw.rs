//! What a read-modify-write of hot keyed state costs: 10^6 keys in random order, with epochs rolling.
//!
//! `cargo run --release -p watershed-runtime --example state_rmw [KEYS] [RMW AN EPOCH]`. The second number of RMWs an epoch decides how
//! many are first writes (undo image, dirty list, delta); the line without epochs is the pure look-up and write.
#![allow(clippy::print_stdout, reason = "a measurement that prints its result")]

use std::time::Instant;

use watershed_runtime::error::Result;
use watershed_runtime::key::{GroupSet, Key, KeySpace};
use watershed_runtime::state::{EncodedRun, Plain, StateDesc, Table};

const WARM: usize = 32;
type Counts = Table<Plain<u64>, u64>;

fn bump(table: &mut Counts, hash: u64, key: u64) -> Result<()> {
    table.update(hash, 0, |k| k.0 == key, || (Plain(key), 0), |n| *n += 1)
}

/// Runs `rounds` RMWs and rolls an epoch each `every`; nanoseconds each for the writes alone, and with all epoch work.
fn run(table: &mut Counts, keys: &[(u64, u64)], rounds: usize, every: usize, warm: bool) -> Result<(f64, f64)> {
    let (mut writes, begin) = (0.0, Instant::now());
    let (mut next, mut done) = (keys.iter().cycle(), 0);
    while done < rounds {
        let n = every.min(rounds - done);
        let at = Instant::now();
        for chunk in 0..n.div_ceil(WARM) {
            let rows = next.clone().take(WARM.min(n - chunk * WARM));
            if warm {
                rows.clone().for_each(|(hash, _)| table.warm(*hash, 0));
            }
            for (hash, key) in rows {
                bump(table, *hash, *key)?;
            }
            next.by_ref().take(WARM.min(n - chunk * WARM)).for_each(drop);
        }
        writes += at.elapsed().as_secs_f64();
        done += n;
        if done < rounds {
            let epoch = table.epoch();
            table.begin_epoch(epoch + 1)?;
            let mut run = EncodedRun::default();
            while !table.encode_dirty(epoch, 64 << 10, &mut run)? {}
            table.publish(epoch)?;
            while !table.sweep(4096) {}
        }
    }
    let per = 1e9 / rounds as f64;
    Ok((writes * per, begin.elapsed().as_secs_f64() * per))
}

fn main() -> Result<()> {
    let arg = |n: usize, or: usize| std::env::args().nth(n).and_then(|a| a.parse().ok()).unwrap_or(or);
    let (keys, every) = (arg(1, 1_000_000), arg(2, 1_000_000));
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
    let order: Vec<(u64, u64)> = (0..4 * keys).map(|_| random() % keys as u64).map(|k| (k.hash(space), k)).collect();
    let (fill, _) = run(&mut table, &order, 2 * keys, usize::MAX, false)?;
    let (hot, _) = run(&mut table, &order, 10 * keys, usize::MAX, false)?;
    let (warmed, _) = run(&mut table, &order, 10 * keys, usize::MAX, true)?;
    let (rolling, all) = run(&mut table, &order, 10 * keys, every, false)?;
    let (rolling2, all2) = run(&mut table, &order, 10 * keys, every, true)?;
    println!("keys {keys}, bytes a key {}", table.bytes() / keys);
    println!("fill      {fill:7.1} ns an RMW (half of them creates)");
    println!("hot       {hot:7.1} ns an RMW");
    println!("warmed    {warmed:7.1} ns an RMW");
    println!("epochs+warm    {rolling2:7.1} ns an RMW, all {all2:.1}");
    println!(
        "epochs    {rolling:7.1} ns an RMW, a new epoch each {every}; {all:.1} ns with encode, publish and sweep on the same thread"
    );
    Ok(())
}
