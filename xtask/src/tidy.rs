//! `cargo xtask tidy`: the invariants of the house (`docs/ARCHITECTURE.md`) that the compiler cannot hold.

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// Crates that are pure: no runtime, no sockets, no environment, no clock.
const PURE: &[&str] = &["domain", "dialects", "placement", "ledger", "providers"];

/// Crates by level; a crate uses only crates of lower levels.
const LEVELS: &[(&str, u8)] = &[
    ("domain", 1),
    ("dialects", 2),
    ("placement", 2),
    ("ledger", 2),
    ("providers", 3),
    ("credentials", 3),
    ("storage", 3),
    ("engine", 4),
    ("config", 5),
    ("runtime", 5),
    ("planner", 5),
    ("server", 6),
    ("admin", 6),
    ("cabotage", 7),
];

/// Dependencies that a pure crate must not have.
const IMPURE_DEPENDENCIES: &[&str] =
    &["tokio", "hyper", "hyper-util", "axum", "rustls", "tokio-rustls", "rusqlite", "notify", "arc-swap"];

/// Words that must not stand in a pure crate's code outside tests.
const IMPURE_WORDS: &[&str] = &["std::env::var", "std::net::Tcp", "std::net::Udp", "std::fs::"];

/// Crates that may read the real clock.
const CLOCK_READERS: &[&str] = &["cabotage", "simulator", "xtask"];

/// Words that read the real clock.
const CLOCK_WORDS: &[&str] = &["SystemTime::now()", "Instant::now()", "Timestamp::now()"];

/// Most lines of a source file without a reason at its head.
const LINES_MAX: usize = 800;

/// A file above the bound says why in a line of its head that begins with this.
const LONG_BECAUSE: &str = "//! Long because";

/// Runs every check and fails with all that is wrong.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(root.join("crates"))? {
        let folder = entry?.path();
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let manifest = folder.join("Cargo.toml");
        if !manifest.exists() {
            continue;
        }
        let text = std::fs::read_to_string(&manifest)?;
        let table: toml::Table = toml::from_str(&text).with_context(|| manifest.display().to_string())?;
        dependencies(&name, &table, &mut wrong);
        let files = rust_files(&folder)?;
        let tests = test_modules(&files)?;
        for file in &files {
            source(root, &name, file, &tests, &mut wrong)?;
        }
    }
    if !wrong.is_empty() {
        wrong.sort();
        bail!("the house is not tidy:\n  {}", wrong.join("\n  "));
    }
    println!("tidy: nothing to mend");
    Ok(())
}

fn dependencies(name: &str, manifest: &toml::Table, wrong: &mut Vec<String>) {
    let own = manifest.get("dependencies").and_then(toml::Value::as_table);
    let level = |name: &str| LEVELS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level);
    for used in own.iter().flat_map(|table| table.keys()) {
        if PURE.contains(&name) && IMPURE_DEPENDENCIES.contains(&used.as_str()) {
            wrong.push(format!("{name} is pure and must not use {used}"));
        }
        if name == "simulator" && (level(used).is_some() || used == "simulator") {
            wrong.push(format!("simulator must not use {used}: the same mistake would stand on both sides"));
        }
        if let (Some(here), Some(there)) = (level(name), level(used))
            && there >= here
        {
            wrong.push(format!("{name} (level {here}) must not use {used} (level {there})"));
        }
        if used == "storage" && name != "cabotage" {
            wrong.push(format!("only cabotage names storage, not {name}"));
        }
        if name == "engine" && matches!(used.as_str(), "axum" | "rusqlite") {
            wrong.push(format!("engine does not know {used}"));
        }
    }
}

/// Names of modules that are declared for tests only.
fn test_modules(files: &[PathBuf]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file)?;
        let mut for_tests = false;
        for line in text.lines().map(str::trim) {
            let module = line.trim_start_matches("pub(crate) ").strip_prefix("mod ");
            if let Some(module) = module.and_then(|rest| rest.strip_suffix(';'))
                && for_tests
            {
                names.push(module.to_owned());
            }
            for_tests = line == "#[cfg(test)]";
        }
    }
    Ok(names)
}

fn source(root: &Path, name: &str, file: &Path, tests: &[String], wrong: &mut Vec<String>) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    let shown = file.strip_prefix(root).unwrap_or(file).display();
    let lines = text.lines().count();
    if lines > LINES_MAX && !text.lines().any(|line| line.starts_with(LONG_BECAUSE)) {
        wrong.push(format!("{shown} has {lines} lines; split it, or say at its head `{LONG_BECAUSE} …`"));
    }
    // Tests may read files and clocks; they stand in their own files or at the end of one.
    let parts = file.with_extension("");
    let is_test = parts
        .components()
        .filter_map(|part| part.as_os_str().to_str())
        .any(|part| part == "tests" || tests.iter().any(|module| module == part));
    if is_test {
        return Ok(());
    }
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("#[cfg(test)]")
            && text.lines().nth(number + 1).is_some_and(opens_tests)
        {
            break;
        }
        if line.trim_start().starts_with("//") {
            continue;
        }
        let place = format!("{shown}:{}", number + 1);
        if PURE.contains(&name) {
            for word in IMPURE_WORDS.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{place}: {name} is pure and must not use {word}"));
            }
        }
        if !CLOCK_READERS.contains(&name) {
            // Tokio's clock can be stood still by a test, so it is an argument in its way.
            let line = line.replace("tokio::time::Instant::now()", "");
            for word in CLOCK_WORDS.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{place}: {word}: time is an argument"));
            }
        }
    }
    Ok(())
}

/// True for the line that opens a file's own tests: what follows is tests to the end.
fn opens_tests(line: &str) -> bool {
    line.trim_start().starts_with("mod ") && line.trim_end().ends_with('{')
}

/// All `.rs` files under a folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, manifest: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        dependencies(name, &toml::from_str(manifest).unwrap(), &mut wrong);
        wrong
    }

    #[test]
    fn arrows_point_down_only() {
        assert!(
            problems("engine", "[dependencies]\ndomain = { workspace = true }\ntokio = \"1\"").is_empty()
        );
        assert_eq!(problems("ledger", "[dependencies]\nplacement = \"1\"\ntokio = \"1\"").len(), 2);
        assert_eq!(problems("simulator", "[dependencies]\ndomain = \"1\"").len(), 1);
        assert_eq!(problems("server", "[dependencies]\nstorage = \"1\"").len(), 1);
    }
}
