//! The tour's transcript in the README: what the demo really prints, put there by `cargo xtask tour` and compared
//! by `cargo xtask test`.

use anyhow::{Context as _, Result, bail};
use std::{
    path::Path,
    process::{Command, Stdio},
};

const BEGIN: &str = "<!-- tour -->\n```text\n";
const END: &str = "```\n<!-- /tour -->";

/// Runs the tour, shows it, and returns what it printed.
pub(crate) fn run(root: &Path) -> Result<String> {
    let output = Command::new(crate::demo::binary(root)?)
        .args(["demo", "--tour", "--port", "0", "--admin-port", "0"])
        .stderr(Stdio::inherit())
        .output()
        .context("starting the tour")?;
    let text = String::from_utf8(output.stdout)?;
    print!("{text}");
    if !output.status.success() {
        bail!("a scene of the tour failed");
    }
    Ok(text)
}

/// Fails where the README's transcript is not this one.
pub(crate) fn check_readme(root: &Path, transcript: &str) -> Result<()> {
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    let (_, shown, _) = split(&readme)?;
    let differs = |(shown, real): (&str, &str)| steady(shown) != steady(real);
    if shown.lines().count() == transcript.lines().count()
        && !shown.lines().zip(transcript.lines()).any(differs)
    {
        return Ok(());
    }
    let first = shown.lines().zip(transcript.lines()).find(|pair| differs(*pair));
    bail!(
        "the README's tour is not what the demo prints (first difference: {first:?}); run `cargo xtask tour`"
    )
}

/// Puts a new transcript into the README.
pub(crate) fn write_readme(root: &Path) -> Result<()> {
    let transcript = run(root)?;
    let path = root.join("README.md");
    let readme = std::fs::read_to_string(&path)?;
    let (before, _, after) = split(&readme)?;
    std::fs::write(&path, format!("{before}{BEGIN}{transcript}{END}{after}"))?;
    Ok(())
}

/// What the machine or the moment may change: how long to wait, and whether OpenAI's client is installed.
fn steady(line: &str) -> &str {
    if line.starts_with("retry-after:") { "retry-after:" } else { line }
}

fn split(readme: &str) -> Result<(&str, &str, &str)> {
    let (before, rest) = readme.split_once(BEGIN).context("the README has no place for the tour")?;
    let (shown, after) = rest.split_once(END).context("the README's tour does not end")?;
    Ok((before, shown, after))
}
