//! The end of the consumer that runs in the cluster: prints every file that appears in some directories, and takes it away later.
//!
//! A line for each file (`dir`, `name`, `text`), and one (`look`) after each look at the directories. Files are removed a while after they
//! were printed, so that directories stay short; what comes back under the name of a removed file is printed again, and is for the other
//! end to judge. Whoever reads this may be cut off: a new run prints what is still there.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(20);
/// How long a printed file stays.
const KEPT: Duration = Duration::from_secs(20);

/// Prints the files of `root/folder` for each folder, for ever.
pub(crate) fn tail(root: &Path, folders: &[String], out: &mut dyn Write) -> Result<()> {
    let mut eyes = Eyes::default();
    loop {
        eyes.look(root, folders, Instant::now(), out)?;
        std::thread::sleep(EVERY);
    }
}

#[derive(Debug, Default)]
struct Eyes {
    there: BTreeSet<PathBuf>,
    printed: VecDeque<(Instant, PathBuf)>,
}

impl Eyes {
    fn look(&mut self, root: &Path, folders: &[String], now: Instant, out: &mut dyn Write) -> Result<()> {
        for folder in folders {
            let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
            let new = entries.flatten().map(|e| e.path()).filter(|p| !self.there.contains(p));
            let mut new: Vec<PathBuf> = new.filter(|p| !name_of(p).starts_with('.')).collect();
            new.sort();
            for path in new {
                let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                writeln!(out, "{}", json!({ "dir": folder, "name": name_of(&path), "text": text }))?;
                self.printed.push_back((now, path.clone()));
                self.there.insert(path);
            }
        }
        while let Some((_, path)) = self.printed.pop_front_if(|(at, _)| now.duration_since(*at) > KEPT) {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            self.there.remove(&path);
        }
        writeln!(out, "{}", json!({ "look": self.printed.len() }))?;
        out.flush().context("nobody reads on")
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(eyes: &mut Eyes, dir: &Path, at: Instant) -> Vec<String> {
        let mut out = Vec::new();
        eyes.look(dir, &["a".to_owned(), "not there".to_owned()], at, &mut out).unwrap();
        let lines = String::from_utf8(out).unwrap();
        lines.lines().filter(|l| l.contains("name")).map(str::to_owned).collect()
    }

    #[test]
    fn each_file_is_printed_once_and_goes_later() {
        let dir = std::env::temp_dir().join(format!("tail-{}", std::process::id()));
        let file = dir.join("a/part-1");
        std::fs::create_dir_all(dir.join("a/.staging")).unwrap();
        std::fs::write(&file, "x\n").unwrap();
        let (mut eyes, t) = (Eyes::default(), Instant::now());
        assert_eq!(look(&mut eyes, &dir, t), ["{\"dir\":\"a\",\"name\":\"part-1\",\"text\":\"x\\n\"}"]);
        assert!(look(&mut eyes, &dir, t + KEPT).is_empty() && file.exists());
        assert!(look(&mut eyes, &dir, t + 2 * KEPT).is_empty() && !file.exists());
        std::fs::write(&file, "again\n").unwrap();
        assert_eq!(look(&mut eyes, &dir, t + 3 * KEPT).len(), 1);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
