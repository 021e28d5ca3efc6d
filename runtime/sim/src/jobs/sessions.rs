//! Session windows by hand: rows of a key less than a gap apart are one session; a timer closes it. Two sources make one stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watershed_runtime::operator::process::Keyed;
use watershed_runtime::time::Time;

use super::kind::{Build, Check, Env, Expected};
use super::row::{Out, Row, into_sink};

/// The open sessions of a key: first time, last time, rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Open(Vec<(i64, i64, i64)>);

impl Open {
    /// Adds a row; where its session ends now.
    fn add(&mut self, time: i64, gap: i64) -> i64 {
        let mut session = (time, time, 1);
        self.0.retain(|s| {
            let touches = s.0 - gap < time && time < s.1 + gap;
            if touches {
                session = (session.0.min(s.0), session.1.max(s.1), session.2 + s.2);
            }
            !touches
        });
        self.0.push(session);
        session.1
    }

    /// The sessions that end for good at `time`.
    fn close(&mut self, time: i64, gap: i64) -> Vec<(i64, i64, i64)> {
        self.0.extract_if(.., |s| s.1 + gap <= time).collect()
    }
}

fn out(key: u32, s: (i64, i64, i64)) -> Out {
    Out { key: u64::from(key), version: 0, values: [s.0, s.1, s.2] }
}

pub(super) fn build(b: &Build<'_>) {
    let gap = b.env.window;
    let both = b.source(0).union(&b.source(1));
    let row = move |r: Row, cx: &mut Keyed<'_, u32, Open, Out>| {
        let end = cx.state.add(r.time, gap);
        cx.set_timer(Time(end + gap));
    };
    let timer = move |cx: &mut Keyed<'_, u32, Open, Out>| {
        for s in cx.state.close(cx.time.0, gap) {
            cx.emit(out(*cx.key, s));
        }
        if cx.state.0.is_empty() {
            cx.clear();
        }
    };
    let (sessions, _) = both.key_by(|r| r.key).process(row, timer);
    into_sink(&sessions, "sessions", b.sinks, 0);
}

pub(super) fn expect(env: &Env) -> Expected {
    let mut times: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for r in env.rows() {
        times.entry(r.key).or_default().push(r.time);
    }
    let mut rows = Vec::new();
    for (key, mut times) in times {
        times.sort_unstable();
        let mut open: Option<(i64, i64, i64)> = None;
        for t in times {
            match &mut open {
                Some(s) if t < s.1 + env.window => (s.1, s.2) = (t, s.2 + 1),
                Some(s) => {
                    rows.push(out(key, *s));
                    *s = (t, t, 1);
                }
                None => open = Some((t, t, 1)),
            }
        }
        rows.extend(open.map(|s| out(key, s)));
    }
    Expected { sinks: vec![Check::Bag(rows)], late: 0 }
}
