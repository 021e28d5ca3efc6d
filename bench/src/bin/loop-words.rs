//! `loop-words IN OUT [THREADS]`: the word count as a hand-written loop, no framework: the limit.

use std::error::Error;
use std::io::Write;

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use watershed_bench::{PARTS, WordRow, args, open_part, out_file, read_line};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Map = HashMap<String, u64, FxBuildHasher>;
type Failure = Box<dyn Error + Send + Sync>;

fn count(dir: &str, me: usize, n: usize) -> Result<Map, Failure> {
    let mut m = Map::default();
    let mut buf = Vec::with_capacity(256);
    for p in (me..PARTS).step_by(n) {
        let mut r = open_part(dir, p)?;
        while read_line(&mut r, &mut buf)? {
            let row: WordRow<'_> = serde_json::from_slice(&buf)?;
            match m.get_mut(&*row.word) {
                Some(c) => *c += 1,
                None => {
                    m.insert(row.word.into_owned(), 1);
                }
            }
        }
    }
    Ok(m)
}

fn main() -> Result<(), Failure> {
    let a = args()?;
    let n = usize::from(a.workers);
    let maps: Vec<Result<Map, Failure>> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..n)
            .map(|w| {
                s.spawn({
                    let a = &a;
                    move || count(&a.input, w, n)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a thread failed".into()))).collect()
    });
    let mut total = Map::default();
    for m in maps {
        for (k, v) in m? {
            *total.entry(k).or_insert(0) += v;
        }
    }
    let mut o = out_file(&a.out, 0)?;
    for (w, c) in &total {
        writeln!(o, "{{\"word\":\"{w}\",\"count\":{c}}}")?;
    }
    Ok(o.flush()?)
}
