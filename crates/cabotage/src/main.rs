//! The binary: command line, configuration → wiring. Everything that decides stands in the other crates; here
//! is what touches the process: clock, allocator, signals, runtimes, files.

mod cli;
mod clock;
mod commands;
mod exit;
mod http1;
mod logging;
mod wiring;

use clap::Parser as _;
use std::process::ExitCode;

/// jemalloc gives memory back to the system while the gateway runs (its own background thread), which glibc's
/// allocator does not after a peak of streams.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before anything can ask for TLS; an error means that somebody did it already, with the same one.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = cli::Arguments::parse();
    logging::start(&arguments.logging);
    exit::when_the_reader_is_gone();
    let result = commands::run(arguments.command);
    exit::report(result)
}
