//! Models, run outside of tests: `small` and `big` with all rules, `log` with the sizes of the log model, `crew` with those of adoption and
//! release, `recover` with those of recovery, `rule <name>` with one rule removed in every world, with the steps that lead to the failure.

use std::io::Write;

use watershed_runtime::protocol::rules::Rules;
use watershed_sim::model::adopt::AdoptModel;
use watershed_sim::model::cut::CutModel;
use watershed_sim::model::cut::config::{BIG, Config, MEDIUM, SMALL};
use watershed_sim::model::log::LogModel;
use watershed_sim::model::recover::RecoverModel;
use watershed_sim::model::run::{Outcome, check};
use watershed_sim::model::table::{LIMIT, LOG_RULES, log_model};

/// The most steps of a big world before it is given up as "no failure so far".
const BIG_LIMIT: usize = 400_000_000;

fn say(text: &str) {
    // A closed pipe has no reader to tell.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn tell(name: &str, o: &Outcome) {
    let verdict = match &o.failed {
        Some((law, path)) => format!("FAILS {law}\n    {}", path.join(", ")),
        None if o.complete => "every law holds".into(),
        None => "no failure up to the limit".into(),
    };
    say(&format!("{name}: {} states, {:.1} s: {verdict}", o.states, o.seconds));
}

fn worlds(list: &[Config], rules: Rules, limit: usize, deep: bool) {
    for g in list {
        tell(g.name, &check(CutModel::new(g.clone(), rules), limit, deep));
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let word = args.first().map_or("big", String::as_str);
    let only = args.get(1).map_or("", String::as_str);
    match word {
        "small" => {
            worlds(SMALL, Rules::ALL, LIMIT, false);
            worlds(MEDIUM, Rules::ALL, LIMIT, false);
            tell("manifest log", &check(log_model(Rules::ALL), LIMIT, false));
        }
        "big" => {
            let some: Vec<Config> = BIG.iter().filter(|g| g.name.starts_with(only)).cloned().collect();
            worlds(&some, Rules::ALL, BIG_LIMIT, true);
            if only.is_empty() {
                tell("manifest log", &check(LogModel::new(2, 2, 1, Rules::ALL), BIG_LIMIT, true));
            }
        }
        "log" => {
            let n = |i: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(1);
            tell("manifest log", &check(LogModel::new(n(1), n(2), n(3), Rules::ALL), LIMIT, false));
            for rule in LOG_RULES {
                let rules = Rules::without(rule).unwrap_or(Rules::ALL);
                tell(rule, &check(LogModel::new(n(1), n(2), n(3), rules), LIMIT, false));
            }
        }
        "crew" => {
            let n = |i: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(1);
            let (epochs, deaths) = (n(1), u8::try_from(n(2)).unwrap_or(1));
            let rules = args.get(3).map_or(Rules::ALL, |rule| Rules::without(rule).unwrap_or(Rules::ALL));
            tell("adoption", &AdoptModel::new(epochs, deaths, rules).check(LIMIT));
            tell("release", &AdoptModel::release(epochs, deaths, rules).check(LIMIT));
            tell("there and back", &AdoptModel::there_and_back(epochs, deaths, rules).check(LIMIT));
        }
        "recover" => {
            let n = |i: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(1);
            let rules = args.get(3).map_or(Rules::ALL, |rule| Rules::without(rule).unwrap_or(Rules::ALL));
            tell("recovery in a warm-up", &RecoverModel::warm(rules).check(LIMIT));
            tell("recovery in a cut", &RecoverModel::cut(n(1), n(2) as u64, rules).check(LIMIT));
        }
        "rule" => match Rules::without(only) {
            Some(rules) => {
                worlds(SMALL, rules, LIMIT, false);
                worlds(MEDIUM, rules, LIMIT, false);
            }
            None => say("no such rule"),
        },
        _ => say(
            "usage: watershed-model [small | big [name] | log <starts> <manifests> <faults> | crew <epochs> <deaths> [<rule>] | recover <rows> <epochs> [<rule>] | rule <name>]",
        ),
    }
}
