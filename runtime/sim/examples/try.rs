//! tmp
use watershed_runtime::protocol::rules::RuleSet;
use watershed_sim::campaign::{Tally, try_run};
use watershed_sim::world::run::Wanted;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (from, to): (u64, u64) = (a[1].parse().unwrap(), a[2].parse().unwrap());
    let cluster = a[3] == "c";
    let text = a.len() > 4;
    let mut t = Tally::default();
    for seed in from..to {
        let o = try_run(&Wanted { seed, job: None, cluster, rules: RuleSet::ALL, text });
        if text {
            for l in &o.lines {
                println!("{l}");
            }
        }
        t.add(&o);
    }
    for b in &t.broken {
        println!("{} {}: {}", b.seed, b.job.name(), &b.breach.chars().take(600).collect::<String>());
    }
    println!("{}", t.line());
    if to - from > 200 {
        println!("{}", t.coverage(cluster));
    }
}
