//! A black-box suite: Watershed on a real Kubernetes, as a user sees it.
//!
//! ```sh
//! make e2e                                   # a cluster of its own, images, and every case
//! watershed-e2e                              # every case, on the cluster that KUBECONFIG names
//! watershed-e2e install scale                # some of them
//! watershed-e2e --list
//! ```
//!
//! It calls kubectl and helm, and reads committed output; it links nothing of ours. What a case does to the job, the checking
//! consumer goes on holding every row against what it must be (see [`check`]). The times are printed beside the bars they must meet.
//! The two other commands, `rest` and `tail`, are what runs in the pod that reads the output.

mod bars;
mod cases;
mod check;
mod command;
mod dump;
mod job;
mod kube;
mod machine;
mod objects;
mod settings;
mod suite;
mod until;
mod world;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Prints a line; that nobody reads on is fine.
fn say(line: &str) {
    let mut out = std::io::stdout();
    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["rest"] => loop {
            std::thread::park();
        },
        ["tail", root, ..] => match check::tail::tail(Path::new(root), args.get(2..).unwrap_or_default(), &mut std::io::stdout())
        {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                say(&format!("{e:#}"));
                ExitCode::FAILURE
            }
        },
        ["--list"] => {
            suite::list();
            ExitCode::SUCCESS
        }
        some => suite::run(some),
    }
}
