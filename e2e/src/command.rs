//! Running commands as a user would type them.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a command; its standard output, or an error with what it complained of.
pub(crate) fn run(program: &str, args: &[&str], input: Option<&str>) -> Result<String> {
    let shown = || format!("{program} {}", args.join(" "));
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {program}: is it installed?"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who does not read its input says why on its own.
        let _closed = stdin.write_all(input.unwrap_or_default().as_bytes());
    }
    let out = child.wait_with_output().with_context(shown)?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if !out.status.success() {
        bail!("{}: {}{}", shown(), String::from_utf8_lossy(&out.stderr).trim(), text.trim());
    }
    Ok(text)
}
