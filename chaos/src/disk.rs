//! Small disks that can be full: a tmpfs where one may be mounted, a plain directory elsewhere.

use std::fs::{File, create_dir_all, remove_file};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory, on a disk of its own if that could be had.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    mounted: bool,
}

fn succeeds(program: &str, words: &[&str]) -> bool {
    Command::new(program).args(words).output().is_ok_and(|o| o.status.success())
}

impl Disk {
    /// Makes it.
    pub(crate) fn new(dir: PathBuf, megabytes: u32) -> std::io::Result<Self> {
        create_dir_all(&dir)?;
        let (name, size) = (format!("wsx{}", std::process::id()), format!("size={megabytes}m"));
        let mounted = succeeds("mount", &["-t", "tmpfs", "-o", &size, &name, &dir.display().to_string()]);
        Ok(Self { dir, mounted })
    }

    /// The directory of the disk.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// True if the disk can be filled without harm to anybody else.
    pub(crate) fn can_be_full(&self) -> bool {
        self.mounted
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join(".ballast")
    }

    /// Leaves no byte free.
    pub(crate) fn fill(&self) -> std::io::Result<()> {
        let mut file = File::create(self.ballast())?;
        for size in [1 << 20, 1 << 12] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    /// Has room again.
    pub(crate) fn free(&self) -> std::io::Result<()> {
        remove_file(self.ballast())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _gone = succeeds("umount", &["-l", &self.dir.display().to_string()]);
        }
    }
}

/// Unmounts what killed predecessors left.
pub(crate) fn sweep() {
    for line in std::fs::read_to_string("/proc/mounts").unwrap_or_default().lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(dir)) = (words.next(), words.next()) else { continue };
        let pid = name.strip_prefix("wsx").filter(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _gone = succeeds("umount", &["-l", dir]);
        }
    }
}
