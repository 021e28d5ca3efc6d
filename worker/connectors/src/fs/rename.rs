//! A rename that never replaces: the one step by which a file is published.
//!
//! On Linux the kernel renames and refuses a taken name in one step (`RENAME_NOREPLACE`: ext4, XFS, btrfs, tmpfs, overlayfs and
//! others). Where it cannot (NFS, CephFS, other systems), the name is looked at first: still one step as to what is published, but
//! a file that another program makes under the same name between the look and the rename would be replaced. Hard links refuse
//! a taken name everywhere, but need a second step to remove the old name, and a file with two names tells nothing: see `commit`.

use std::io::{ErrorKind, Result};
use std::path::Path;

/// Gives a file a name that nothing has; [`ErrorKind::AlreadyExists`] if the name is taken.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    match in_one_step(from, to) {
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => look_and_rename(from, to),
        done => done,
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn in_one_step(from: &Path, to: &Path) -> Result<()> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

    renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE).map_err(Into::into)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn in_one_step(_: &Path, _: &Path) -> Result<()> {
    Err(ErrorKind::Unsupported.into())
}

fn look_and_rename(from: &Path, to: &Path) -> Result<()> {
    match std::fs::symlink_metadata(to) {
        // As the kernel has it: a file that is missing comes before a name that is taken.
        Ok(_) => std::fs::symlink_metadata(from).and_then(|_| Err(ErrorKind::AlreadyExists.into())),
        Err(e) if e.kind() == ErrorKind::NotFound => std::fs::rename(from, to),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_taken_name_is_refused_and_a_missing_file_is_told_both_ways() {
        for rename in [rename_new, look_and_rename] {
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("from"), dir.path().join("to"));
            assert_eq!(rename(&from, &to).unwrap_err().kind(), ErrorKind::NotFound);
            fs::write(&from, "ours").unwrap();
            rename(&from, &to).unwrap();
            assert!(!from.exists());
            assert_eq!(rename(&from, &to).unwrap_err().kind(), ErrorKind::NotFound);
            fs::write(&from, "second").unwrap();
            assert_eq!(rename(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert_eq!((fs::read(&from).unwrap(), fs::read(&to).unwrap()), (b"second".to_vec(), b"ours".to_vec()));
        }
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn the_kernel_renames_in_one_step() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "").unwrap();
        // A temporary directory is on a file system of the machine itself, all of which can.
        in_one_step(&from, &to).unwrap();
    }
}
