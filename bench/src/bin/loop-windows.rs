//! `loop-windows IN OUT [THREADS]`: the windowed count as a hand-written loop, no framework: the limit.
//! One thread: parts read in turn, watermark = minimum over parts, windows written as it passes. Several threads: each its parts;
//! closed windows merged at the end (no exchange).

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use watershed_bench::{DISORDER_MS, EventRow, PARTS, SLACK_MS, WINDOW_MS, args, open_part, out_file, read_line};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Keys = HashMap<String, u64, FxBuildHasher>;
type Failure = Box<dyn Error + Send + Sync>;

fn run(dir: &str, me: usize, n: usize, mut close: impl FnMut(u64, Keys) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut parts = Vec::new();
    for p in (me..PARTS).step_by(n) {
        parts.push((open_part(dir, p)?, 0u64));
    }
    let mut windows: BTreeMap<u64, Keys> = BTreeMap::new();
    let (mut buf, mut sum) = (Vec::with_capacity(256), 0i64);
    while !parts.is_empty() {
        let mut open = Vec::new();
        'parts: for (mut r, mut max) in parts {
            for _ in 0..256 {
                if !read_line(&mut r, &mut buf)? {
                    continue 'parts;
                }
                let row: EventRow<'_> = serde_json::from_slice(&buf)?;
                sum = sum.wrapping_add(row.value);
                max = max.max(row.ts);
                let m = windows.entry(row.ts - row.ts % WINDOW_MS).or_default();
                match m.get_mut(&*row.key) {
                    Some(c) => *c += 1,
                    None => {
                        m.insert(row.key.into_owned(), 1);
                    }
                }
            }
            open.push((r, max));
        }
        parts = open;
        let watermark = parts.iter().map(|p| p.1).min().unwrap_or(u64::MAX).saturating_sub(DISORDER_MS + SLACK_MS);
        while let Some(first) = windows.first_entry() {
            if *first.key() + WINDOW_MS > watermark && !parts.is_empty() {
                break;
            }
            let (w, m) = first.remove_entry();
            close(w, m)?;
        }
    }
    std::hint::black_box(sum);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let a = args()?;
    let n = usize::from(a.workers);
    let mut o = out_file(&a.out, 0)?;
    let mut put = |w: u64, m: Keys| -> Result<(), Failure> {
        for (k, c) in m {
            writeln!(o, "{{\"window\":{w},\"key\":\"{k}\",\"count\":{c}}}")?;
        }
        Ok(())
    };
    if n == 1 {
        run(&a.input, 0, 1, &mut put)?;
        return Ok(o.flush()?);
    }
    let (tx, rx) = std::sync::mpsc::channel::<(u64, Keys)>();
    let results: Vec<Result<(), Failure>> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..n)
            .map(|w| {
                let (a, tx) = (&a, tx.clone());
                s.spawn(move || run(&a.input, w, n, |w, m| Ok(tx.send((w, m))?)))
            })
            .collect();
        drop(tx);
        let merged = merge(rx, n, &mut put);
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a thread failed".into()))).chain([merged]).collect()
    });
    results.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(o.flush()?)
}

fn merge(
    rx: std::sync::mpsc::Receiver<(u64, Keys)>,
    n: usize,
    put: &mut impl FnMut(u64, Keys) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut open: BTreeMap<u64, (usize, Keys)> = BTreeMap::new();
    for (w, m) in rx {
        let e = open.entry(w).or_default();
        e.0 += 1;
        for (k, c) in m {
            *e.1.entry(k).or_insert(0) += c;
        }
        if e.0 == n
            && let Some((_, m)) = open.remove(&w)
        {
            put(w, m)?;
        }
    }
    for (w, (_, m)) in open {
        put(w, m)?;
    }
    Ok(())
}
