//! The generator of files that follow from the types: the definitions of the chart and the reference page of the manual.
//!
//! `cargo run -p watershed-crds` from the root of the repository. A test holds that the files are fresh.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    for (path, text) in watershed_crds::files() {
        let file = root.join(path);
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        if folder.and_then(|()| std::fs::write(&file, text)).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
