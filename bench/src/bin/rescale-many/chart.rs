//! Latency over time as a picture: for each tenth of a second the median and the 99th percentile, on a logarithmic scale, with what was
//! done to the job in bands behind them. A tenth of a second in which nothing came out is a gap in both lines.

use std::fmt::Write as _;

use super::trace::Record;

/// A time of the run with its name: what happened in it.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 300.0;
/// The scale of latencies, in milliseconds.
const DECADES: [f64; 6] = [0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0];
const BUCKET: u64 = 100_000_000;

/// The picture, as SVG.
pub(crate) fn draw(rows: &[Record], spans: &[Span]) -> String {
    let first = spans.iter().map(|s| s.from).min().unwrap_or(0);
    let last = spans.iter().map(|s| s.to).max().unwrap_or(first + 1);
    let x = |t: u64| LEFT + (t.saturating_sub(first)) as f64 / (last - first) as f64 * (WIDTH - LEFT - 10.0);
    let y = |ms: f64| BOTTOM - (ms.clamp(0.1, 10_000.0).log10() + 1.0) / 5.0 * (BOTTOM - 40.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"16\" font-size=\"13\">Latency of rows, from when they were due until they came out (ms); median and 99th percentile of each 0.1 s</text>\n"
    );
    for (i, s) in spans.iter().enumerate() {
        let (from, to) = (x(s.from), x(s.to));
        let (fill, low) = (if i % 2 == 0 { "#eef" } else { "#fee" }, BOTTOM + 14.0 + 13.0 * (i % 3) as f64);
        // Writing to a String cannot fail.
        let _never = writeln!(
            svg,
            "<rect x=\"{from:.1}\" y=\"30\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{fill}\"/><text x=\"{from:.1}\" y=\"{low}\">{}</text>",
            to - from,
            BOTTOM - 30.0,
            s.name
        );
    }
    for ms in DECADES {
        let at = y(ms);
        let _never = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ccc\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{ms}</text>",
            WIDTH - 10.0,
            LEFT - 6.0,
            at + 4.0
        );
    }
    for (q, colour) in [(0.5, "#06c"), (0.99, "#c30")] {
        let _never = writeln!(svg, "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\"/>", path(rows, (first, last), q, &x, &y));
    }
    svg.push_str("</svg>\n");
    svg
}

fn path(rows: &[Record], (first, last): (u64, u64), q: f64, x: &impl Fn(u64) -> f64, y: &impl Fn(f64) -> f64) -> String {
    let n = ((last - first) / BUCKET + 1) as usize;
    let mut buckets: Vec<Vec<u64>> = vec![Vec::new(); n];
    for r in rows.iter().filter(|r| r.now >= first && r.now < last) {
        if let Some(b) = buckets.get_mut(((r.now - first) / BUCKET) as usize) {
            b.push(r.now.saturating_sub(r.at));
        }
    }
    let (mut path, mut pen) = (String::new(), false);
    for (i, mut bucket) in buckets.into_iter().enumerate() {
        if bucket.is_empty() {
            pen = false;
            continue;
        }
        bucket.sort_unstable();
        let ms = watershed_bench::quantile(&bucket, q) as f64 / 1e6;
        let word = if pen { "L" } else { "M" };
        let _never = write!(path, "{word}{:.1},{:.1} ", x(first + i as u64 * BUCKET), y(ms));
        pen = true;
    }
    path
}
