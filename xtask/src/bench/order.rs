//! `cargo xtask order`: which functions a gateway runs, for the linker to lay side by side.
//!
//! The optimised binary starts under valgrind's callgrind with the bench's configuration, answers calls and streams,
//! and ends. What ran becomes `crates/cabotage/link/order.txt`, first what ran often, then the rest; the binary's
//! build script makes a linker script of it. A line is the beginning of the symbols that it stands for, with what
//! differs between checkouts and compilers left open. A stale list costs memory, nothing else.

use super::{
    CONNECTIONS, PROMPTS,
    gate::{Gate, Kind},
    load::{self, Order},
    mock::Mock,
    released,
};
use crate::{run, test::cargo};
use anyhow::{Context as _, Result, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Where the order stands.
const FILE: &str = "crates/cabotage/link/order.txt";

/// How long each kind of load lasts. Under callgrind everything takes fifty times as long.
const LOAD: Duration = Duration::from_secs(4);

/// A function that took so many instructions ran for the calls, not for the start alone.
const OFTEN: u64 = 20_000;

/// One line may stand for several functions where it takes at most so many bytes of code that did not run for each
/// line that it saves.
const WASTE: u64 = 150;

/// What the list is made of.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OrderArgs {
    /// An optimised binary that is built already
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Makes the list anew.
pub(crate) fn order(root: &Path, args: &OrderArgs) -> Result<()> {
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => {
            run(cargo(root).args(["build", "--release", "--package", "cabotage"]))?;
            released(root, "cabotage")
        }
    };
    let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
    let costs = executed(&profile(&binary)?, &binary);
    ensure!(costs.len() > 1_000, "only {} functions ran: is callgrind's output to be read?", costs.len());
    let nm = Command::new("nm").arg("--print-size").arg(&binary).output().context("nm, of binutils")?;
    ensure!(nm.status.success(), "nm: {}", String::from_utf8_lossy(&nm.stderr));
    let own = own_crates(root)?;
    let functions = Functions::of(&String::from_utf8_lossy(&nm.stdout), &costs, &own);
    let mut text =
        String::from("# Functions that a gateway runs. Made by `cargo xtask order`; do not edit by hand.\n");
    let mut lines = 0;
    for (title, costs) in [("for every call", OFTEN..=u64::MAX), ("at the start", 1..=OFTEN - 1)] {
        writeln!(text, "# {title}")?;
        for line in functions.lines(&costs) {
            writeln!(text, "{line}")?;
            lines += 1;
        }
    }
    fs::write(root.join(FILE), text).with_context(|| FILE.to_owned())?;
    println!("{FILE}: {lines} lines for {} functions that ran", costs.len());
    Ok(())
}

/// The crates of the workspace: what their symbols are hashed with differs from checkout to checkout.
fn own_crates(root: &Path) -> Result<BTreeSet<String>> {
    let folders = fs::read_dir(root.join("crates"))?;
    folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned())).collect()
}

/// Runs the gateway under callgrind; what callgrind wrote.
fn profile(binary: &Path) -> Result<String> {
    let out = Out(std::env::temp_dir().join(format!("cabotage-order-{}", std::process::id())));
    let under = [
        "valgrind".to_owned(),
        "--quiet".to_owned(),
        "--tool=callgrind".to_owned(),
        "--demangle=no".to_owned(),
        format!("--callgrind-out-file={}", out.0.display()),
    ];
    let mock = Mock::start()?;
    let gate = Gate::start_under(&under, Kind::Cabotage, &mock, binary, None)
        .context("under valgrind: is it installed?")?
        .context("the gateway")?;
    let order = |prompt, stream| Order::new(gate.address, gate.key, gate.model, prompt, stream);
    let [short, long] = PROMPTS;
    load::closed(&order(short, false), CONNECTIONS, LOAD)?;
    load::closed(&order(long, false), CONNECTIONS, LOAD)?;
    load::streams(&order(short, true), CONNECTIONS, LOAD)?;
    // It writes when it ends.
    drop(gate);
    fs::read_to_string(&out.0).with_context(|| out.0.display().to_string())
}

/// Where callgrind writes; removed when dropped.
struct Out(PathBuf);

impl Drop for Out {
    fn drop(&mut self) {
        let _it_may_not_be_there = fs::remove_file(&self.0);
    }
}

/// What callgrind calls a binary where it knows none. It takes code for a binary's only where it lies in `.text`, and
/// this list's own functions stand in a section of their own. Whatever else it may be has no symbol in the binary.
const UNKNOWN: &str = "???";

/// The functions of the program itself that ran, with their instructions. Callgrind names a function or a binary
/// once, `fn=(7) name`, and then by its number; lines of costs follow, `line cost`, or `calls=` and the cost of a
/// call, which is another function's.
fn executed(profile: &str, binary: &Path) -> BTreeMap<String, u64> {
    let (mut functions, mut objects) = (BTreeMap::new(), BTreeMap::new());
    let (mut function, mut ours, mut of_a_call) = (None, false, false);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in profile.lines() {
        let (key, value) = line.split_once('=').unwrap_or_default();
        match key {
            "fn" | "cfn" => {
                let name = named(&mut functions, value);
                if key == "fn" {
                    function = name;
                }
            }
            "ob" | "cob" => {
                let name = named(&mut objects, value);
                if key == "ob" {
                    ours = name.is_some_and(|name| name == UNKNOWN || Path::new(name) == binary);
                }
            }
            "calls" => of_a_call = true,
            _ if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*')) => {
                let cost = line.split_ascii_whitespace().nth(1).and_then(|cost| cost.parse::<u64>().ok());
                if let (Some(cost), Some(name), true, false) = (cost, function, ours, of_a_call) {
                    // A function within itself is named with a number behind it.
                    let name = name.split('\'').next().unwrap_or(name);
                    *counts.entry(name.to_owned()).or_default() += cost;
                }
                of_a_call = false;
            }
            _ => {}
        }
    }
    counts
}

/// `(7) name` makes a name known, `(7)` repeats it.
fn named<'a>(known: &mut BTreeMap<&'a str, &'a str>, value: &'a str) -> Option<&'a str> {
    let (number, name) = value.split_once(' ').unwrap_or((value, ""));
    if !name.is_empty() {
        known.insert(number, name);
    }
    known.get(number).copied()
}

/// The functions of a binary by their [`open`] symbols.
#[derive(Debug, Default)]
struct Functions {
    /// Bytes of code, and the instructions that it took.
    all: BTreeMap<String, (u64, u64)>,
}

impl Functions {
    /// From what `nm --print-size` prints. The linker may have kept one of several functions that are alike: then all
    /// their names stand at one address, and the object file has that of one of them only.
    fn of(nm: &str, costs: &BTreeMap<String, u64>, own: &BTreeSet<String>) -> Self {
        let mut places: BTreeMap<&str, (u64, Vec<&str>)> = BTreeMap::new();
        for line in nm.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(size), Some(kind), Some(name)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            if let (Ok(size), "t" | "T" | "w" | "W") = (u64::from_str_radix(size, 16), kind) {
                let place = places.entry(address).or_default();
                place.0 = size;
                place.1.push(name);
            }
        }
        let mut functions = Self::default();
        for (size, names) in places.values() {
            let cost: u64 = names.iter().filter_map(|name| costs.get(*name)).sum();
            let symbols: BTreeSet<String> = names.iter().filter_map(|name| open(name, own)).collect();
            for symbol in symbols {
                let seen = functions.all.entry(symbol).or_default();
                seen.0 += size;
                seen.1 += cost;
            }
        }
        functions
    }

    /// Lines for the functions that took so many instructions, and as few as can be of those that took less.
    fn lines(&self, costs: &RangeInclusive<u64>) -> Vec<String> {
        let one = |(symbol, (size, cost)): (&'_ String, &(u64, u64))| {
            let waste = if cost < costs.start() { *size } else { 0 };
            (symbol.clone(), waste, costs.contains(cost))
        };
        let all: Vec<_> = self.all.iter().map(one).collect();
        let mut lines = Vec::new();
        cover(&all, 0, &mut lines);
        lines
    }
}

/// Lines for those of the functions that are wanted; the others are told by what they waste. They are in the order of their symbols, which are alike up to
/// `alike`: either one line stands for all of them, or those that go on with the same letter are covered by themselves.
fn cover(functions: &[(String, u64, bool)], alike: usize, lines: &mut Vec<String>) {
    /// A line has at least so many letters, or it would stand for other libraries' functions too.
    const SHORTEST: usize = 8;
    let wanted = functions.iter().filter(|(_, _, wanted)| *wanted).count() as u64;
    let (Some((first, _, _)), Some((last, _, _))) = (functions.first(), functions.last()) else { return };
    if wanted == 0 {
        return;
    }
    // In order: what the first and the last share, all share.
    let shared = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    if functions.len() == 1 {
        lines.push(format!("{}*", first.get(..(alike + 1).max(SHORTEST)).unwrap_or(first)));
        return;
    }
    let waste: u64 = functions.iter().map(|(_, waste, _)| waste).sum();
    if shared >= SHORTEST && waste <= WASTE * (wanted - 1) {
        lines.push(format!("{}*", first.get(..shared).unwrap_or(first)));
        return;
    }
    for group in
        functions.chunk_by(|(a, _, _), (b, _, _)| a.as_bytes().get(shared) == b.as_bytes().get(shared))
    {
        match group {
            [(symbol, _, wanted)] if symbol.len() == shared => {
                if *wanted {
                    lines.push(symbol.clone());
                }
            }
            group => cover(group, shared, lines),
        }
    }
}

/// A symbol with what differs between checkouts and compilers left open: the hash before a crate's name (`Cs…_`), of
/// our own crates at any length, and what the compiler appends behind a full stop. `None` for what is no symbol.
fn open(symbol: &str, own: &BTreeSet<String>) -> Option<String> {
    let symbol = symbol.split('.').next().filter(|symbol| !symbol.is_empty())?;
    if symbol.starts_with("0x") || !symbol.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    if !symbol.starts_with("_R") {
        return Some(symbol.to_owned());
    }
    let mut open = String::with_capacity(symbol.len());
    let mut rest = symbol;
    while let Some((before, after)) = rest.split_once("Cs") {
        open.push_str(before);
        open.push_str("Cs");
        rest = after;
        if let Some((digits, name)) = hash(after) {
            let one_of_ours = own.iter().any(|own| name.starts_with(&format!("{}{own}", own.len())));
            if one_of_ours {
                open.push('*');
            } else {
                open.extend(std::iter::repeat_n('?', digits));
            }
            rest = after.get(digits..).unwrap_or_default();
        }
    }
    open.push_str(rest);
    Some(open)
}

/// How long the number is that a symbol goes on with, to the base of 62 and ended by `_`, and what follows.
fn hash(rest: &str) -> Option<(usize, &str)> {
    let (number, after) = rest.split_once('_')?;
    let is_one = (6..=11).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_one.then_some((number.len(), after))
}

#[cfg(test)]
mod tests {
    use super::{Functions, executed, open};
    use std::{
        collections::{BTreeMap, BTreeSet},
        path::Path,
    };

    fn own() -> BTreeSet<String> {
        BTreeSet::from(["engine".to_owned()])
    }

    #[test]
    fn what_differs_between_checkouts_is_left_open() {
        let ours = "_RNvMs_NtCsjrHSEGnQ3l9_6engine8snapshotNtB4_8Snapshot4live";
        assert_eq!(open(ours, &own()).unwrap(), "_RNvMs_NtCs*_6engine8snapshotNtB4_8Snapshot4live");
        let theirs = "_RNvNtCs5A4FLpjJ9IQ_5tokio4task5spawnCsjrHSEGnQ3l9_6engine.llvm.9";
        assert_eq!(open(theirs, &own()).unwrap(), "_RNvNtCs???????????_5tokio4task5spawnCs*_6engine");
        assert_eq!(open("sqlite3VdbeExec.part.0", &own()).unwrap(), "sqlite3VdbeExec");
        assert_eq!(open("_RNvCsNoHash5tokio", &own()).unwrap(), "_RNvCsNoHash5tokio");
        assert_eq!(open("0x00000000028a83c0", &own()), None);
        assert_eq!(open("(below main)", &own()), None);
    }

    #[test]
    fn costs_are_the_functions_own_and_only_the_programs() {
        let profile = "ob=(1) /x/of-another-name\nfl=(1) a.rs\nfn=(1) one\n12 5\n+1 6\ncfn=(2) two'2\ncalls=3 9\n* 1000\n\
                       ob=(2) /lib/libc.so.6\nfn=(3) memcpy\n7 9\nob=(3) ???\nfn=(2)\n9 4\nob=(1)\nfn=(1)\n13 1\n";
        let seen: Vec<_> = executed(profile, Path::new("/x/of-another-name")).into_iter().collect();
        assert_eq!(seen, [("one".to_owned(), 12), ("two".to_owned(), 4)]);
    }

    #[test]
    fn one_line_stands_for_neighbours_that_ran_and_for_little_else() {
        let costs = ["parsers_begin", "parsers_end", "parsers_next", "writer_one", "twin_of_it"];
        let costs: BTreeMap<_, _> = costs.into_iter().map(|name| (name.to_owned(), 9)).collect();
        let nm = "10 40 t parsers_begin\n20 40 t parsers_end\n30 40 t parsers_next\n40 40 t parsers_never\n\
                  50 40 t writer_one\n60 4000 t writer_other\n70 8 t the_kept_one\n70 8 t twin_of_it\n80 8 d data\n\
                  90 8 t unused_one\n U malloc\n";
        let functions = Functions::of(nm, &costs, &own());
        assert_eq!(functions.lines(&(1..=99)), ["parsers_*", "the_kept*", "twin_of_*", "writer_on*"]);
        assert!(functions.lines(&(10..=99)).is_empty());
    }
}
