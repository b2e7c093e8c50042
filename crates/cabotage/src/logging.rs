//! Logs on standard error. Nothing that is logged holds a prompt, an answer or a secret: secrets' types do not
//! show themselves, and bodies are never formatted.

use clap::{Args, ValueEnum};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct Logging {
    /// What is logged: error, warn, info, debug, or a filter such as `info,engine=debug`
    #[arg(long = "log", global = true, env = "CABOTAGE_LOG", default_value = "info", value_name = "FILTER")]
    filter: String,
    /// How a line looks
    #[arg(long = "log-format", global = true, env = "CABOTAGE_LOG_FORMAT", default_value = "text")]
    format: Format,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Starts logging. A filter that cannot be read is told and `info` taken.
pub(crate) fn start(logging: &Logging) {
    let filter = EnvFilter::try_new(&logging.filter).unwrap_or_else(|error| {
        eprintln!("--log {}: {error}; taking `info`", logging.filter);
        EnvFilter::new("info")
    });
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match logging.format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        eprintln!("logging could not be started: {error}");
    }
}
