//! stub
use std::process::ExitCode;
pub(super) fn run() -> anyhow::Result<ExitCode> { anyhow::bail!("not yet") }
