//! `cargo xtask test`: everything that must hold before a change lands, in the order of what it costs.

use crate::{demo::Demo, run};
use anyhow::{Context, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// One part of the test run.
struct Part {
    name: &'static str,
    run: fn(&Path) -> Result<()>,
}

const PARTS: &[Part] = &[
    Part { name: "format", run: |root| run(cargo(root).args(["fmt", "--all", "--check"])) },
    Part { name: "invariants", run: crate::tidy::run },
    Part { name: "catalog", run: |root| run(xtask(root).args(["catalog", "--check"])) },
    Part { name: "evidence", run: |root| run(xtask(root).args(["evidence", "--check"])) },
    Part {
        name: "lints",
        run: |root| run(cargo(root).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    },
    Part { name: "vendors' view of the recordings", run: oracle },
    Part { name: "Rust tests", run: rust_tests },
    Part { name: "terms' golden cases", run: golden_cases },
    Part { name: "proofs", run: proofs },
    Part { name: "official clients against the demo", run: sdk },
    Part { name: "tour", run: tour },
];

/// Runs all parts, or those whose name contains `only`.
pub(crate) fn all(root: &Path, only: Option<&str>) -> Result<()> {
    let started = Instant::now();
    let (mut passed, mut failed) = (0, Vec::new());
    for part in PARTS.iter().filter(|part| only.is_none_or(|only| part.name.contains(only))) {
        println!("== {} ==", part.name);
        let began = Instant::now();
        match (part.run)(root) {
            Ok(()) => {
                passed += 1;
                println!("== {}: ok, {:.0} s", part.name, began.elapsed().as_secs_f64());
            }
            Err(error) => {
                println!("== {}: FAILED: {error:#}", part.name);
                failed.push(part.name);
            }
        }
    }
    println!("parts: {passed} passed, {} failed", failed.len());
    println!("took {:.0} s", started.elapsed().as_secs_f64());
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// This program once more, for its own tasks.
fn xtask(root: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| "xtask".into()));
    command.current_dir(root);
    command
}

/// Where the recordings are: `CABOTAGE_FIXTURES`, else beside the checkout.
pub(crate) fn fixtures(root: &Path) -> Option<PathBuf> {
    let path =
        std::env::var_os("CABOTAGE_FIXTURES").map_or_else(|| root.join("../shared/fixtures"), PathBuf::from);
    path.join("index.json").exists().then_some(path)
}

/// The SDK's Python, installed where it lacks.
fn python(root: &Path) -> Result<PathBuf> {
    let output = Command::new(root.join("sdk/setup.sh")).output().context("sdk/setup.sh")?;
    if !output.status.success() {
        bail!("sdk/setup.sh failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(PathBuf::from(text.lines().last().unwrap_or_default().trim()))
}

fn oracle_file(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("oracle.json")
}

/// What the vendors' SDKs say of each recording, for the Rust test that compares ours with it.
fn oracle(root: &Path) -> Result<()> {
    let Some(fixtures) = fixtures(root) else {
        if std::env::var_os("CABOTAGE_FIXTURES").is_some() {
            bail!("CABOTAGE_FIXTURES names no folder of recordings");
        }
        println!("skipped: no recordings beside the checkout (CABOTAGE_FIXTURES)");
        return Ok(());
    };
    let out = oracle_file(root);
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    run(Command::new(python(root)?).arg(root.join("sdk/oracle.py")).arg(fixtures).arg(out))
}

fn rust_tests(root: &Path) -> Result<()> {
    let mut command = cargo(root);
    command.args(["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "fail"]);
    if oracle_file(root).exists() {
        command.env("CABOTAGE_ORACLE", oracle_file(root));
    }
    run(&mut command)
}

/// The golden cases of every pack in `terms/`, by the command that users have.
fn golden_cases(root: &Path) -> Result<()> {
    run(cargo(root).args(["run", "--quiet", "--bin", "cabotage", "--", "terms", "test", "--dir", "terms"]))
}

/// What must hold of every pack for every call that there can be.
fn proofs(root: &Path) -> Result<()> {
    let program = std::env::var_os("CVC5").unwrap_or_else(|| "cvc5".into());
    if Command::new(&program).arg("--version").output().is_err() {
        if std::env::var_os("CABOTAGE_REQUIRE_CVC5").is_some() {
            bail!("there is no cvc5 on this machine, and CABOTAGE_REQUIRE_CVC5 is set");
        }
        println!("skipped: no cvc5 on this machine (apt-get install cvc5)");
        return Ok(());
    }
    run(cargo(root).args(["run", "--quiet", "--bin", "cabotage", "--", "terms", "prove", "terms"]))
}

/// The official OpenAI clients, Python and Node, against each simulated cloud through a running demo.
fn sdk(root: &Path) -> Result<()> {
    let python = python(root)?;
    let demo = Demo::start(root)?;
    let mut tests = Command::new(&python);
    tests.current_dir(root.join("sdk")).args(["-m", "pytest", "-q", "tests"]);
    demo.environment(&mut tests);
    tests.env("CABOTAGE_SDK_STRICT", "1");
    run(&mut tests)?;
    if Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success()) {
        let node = root.join("sdk/node");
        if !node.join("node_modules").exists() {
            run(Command::new("npm").current_dir(&node).args(["ci", "--silent", "--no-audit", "--no-fund"]))?;
        }
        let mut smoke = Command::new("node");
        smoke.current_dir(&node).arg("smoke.mjs");
        demo.environment(&mut smoke);
        run(&mut smoke)?;
    } else {
        println!("skipped: no npm on this machine, so the Node clients were not run");
    }
    Ok(())
}

/// The tour, and the README that embeds it.
fn tour(root: &Path) -> Result<()> {
    let transcript = crate::tour::run(root)?;
    crate::tour::check_readme(root, &transcript)
}
