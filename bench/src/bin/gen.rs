//! `gen DIR [N]`: words/part-*.jsonl and events/part-*.jsonl with N lines each, and the expected results `words.ref` and `events.ref`.
//! Deterministic. Line i goes to part i % 8, so each part is in (nearly) event-time order.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use watershed_bench::{DISORDER_MS, PARTS, WINDOW_MS};

struct Rng(u64);

impl Rng {
    /// splitmix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

fn parts(dir: &Path) -> std::io::Result<Vec<BufWriter<File>>> {
    std::fs::create_dir_all(dir)?;
    (0..PARTS).map(|p| Ok(BufWriter::with_capacity(1 << 18, File::create(dir.join(format!("part-{p}.jsonl")))?))).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args().nth(1).ok_or("usage: gen DIR [N]")?;
    let n: u64 = std::env::args().nth(2).map_or(Ok(5_000_000), |s| s.parse())?;
    let out = Path::new(&out);
    let mut r = Rng(1);
    words(out, n, &mut r)?;
    events(out, n, &mut r)
}

fn words(out: &Path, n: u64, r: &mut Rng) -> Result<(), Box<dyn Error>> {
    let dict: Vec<String> = (0..5000).map(|_| (0..7).map(|_| (b'a' + r.below(26) as u8) as char).collect()).collect();
    let mut files = parts(&out.join("words"))?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for i in 0..n {
        let word = dict.get(r.below(5000) as usize).ok_or("no word")?;
        let file = files.get_mut((i as usize) % PARTS).ok_or("no part")?;
        writeln!(file, "{{\"word\": \"{word}\"}}")?;
        *counts.entry(word).or_default() += 1;
    }
    let mut o = BufWriter::new(File::create(out.join("words.ref"))?);
    for (w, c) in &counts {
        writeln!(o, "{w}\t{c}")?;
    }
    Ok(())
}

fn events(out: &Path, n: u64, r: &mut Rng) -> Result<(), Box<dyn Error>> {
    let base: u64 = 1_700_000_000_000;
    let mut files = parts(&out.join("events"))?;
    let mut windows: HashMap<(u64, u64), u64> = HashMap::new();
    for i in 0..n {
        let ts = base + DISORDER_MS + i / 10 - r.below(DISORDER_MS + 1);
        let (k, v) = (r.below(10_000), r.below(1000));
        let file = files.get_mut((i as usize) % PARTS).ok_or("no part")?;
        writeln!(file, "{{\"ts\": {ts}, \"key\": \"k{k:05}\", \"value\": {v}}}")?;
        *windows.entry((ts - ts % WINDOW_MS, k)).or_default() += 1;
    }
    let mut rows: Vec<_> = windows.into_iter().collect();
    rows.sort_unstable();
    let mut o = BufWriter::new(File::create(out.join("events.ref"))?);
    for ((w, k), c) in rows {
        writeln!(o, "{w}\tk{k:05}\t{c}")?;
    }
    Ok(())
}
