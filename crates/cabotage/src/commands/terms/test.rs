//! `cabotage terms test`: the golden cases beside packs.

use super::{
    counted,
    library::{Choice, Library, Named, PackText, compile, shipped_packs},
};
use crate::exit;
use clap::Args;
use placement::{
    Problem, Problems, Terms,
    explain::wrap,
    terms::cases::{CasesFile, Report, World, run as judge},
};
use serde_json::json;
use std::process::ExitCode;

/// The golden cases beside packs. Exit 0: all come out as written; 1: one does not, or a file is wrong.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Packs by id or file. Default: all
    #[arg(value_name = "PACK")]
    packs: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// A pack without cases, and a rule that no case names, count as failures
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the cases and says what came out.
pub(super) fn run(arguments: &Test) -> anyhow::Result<ExitCode> {
    let library = arguments.choice.open()?;
    let mut packs = Vec::new();
    for word in &arguments.packs {
        packs.push(arguments.choice.pack(word)?);
    }
    let packs = if packs.is_empty() { library.packs.clone() } else { packs };
    let mut problems = Problems::default();
    let mut reports = Vec::new();
    let mut without = Vec::new();
    for pack in &packs {
        match report(&library, pack) {
            Ok(Some(report)) => reports.push(report),
            Ok(None) => without.push(pack.id.clone()),
            Err(mut found) => problems.0.append(&mut found.0),
        }
    }
    problems.into_result()?;
    let failed: usize = reports.iter().map(|report| report.failed().count()).sum();
    let unnamed: usize = reports.iter().map(|report| report.unnamed.len()).sum();
    let loose = arguments.strict && (unnamed > 0 || !without.is_empty());
    let ok = failed == 0 && !loose;
    if arguments.json {
        let value = json!({ "ok": ok, "failed": failed, "reports": reports, "without_cases": without });
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        print!("{}", text(&reports, &without));
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// What comes out of the cases of a pack; `None`: it has none.
pub(super) fn report(library: &Library, pack: &PackText) -> Result<Option<Report>, Problems> {
    let Some(cases) = &pack.cases else { return Ok(None) };
    let file = CasesFile::read(&cases.file, &cases.text)?;
    let terms = terms_for(library, pack, &file, cases)?;
    let world = World {
        terms: &terms,
        book: Some(&library.facts),
        deployments: &library.deployments,
        workloads: &library.workloads,
    };
    file.check(&pack.id, &world)?;
    Ok(Some(judge(&file, &pack.id, &world)))
}

/// The judged packs alone, by their own modes: from beside the pack, else from those that ship.
fn terms_for(library: &Library, pack: &PackText, file: &CasesFile, cases: &Named) -> Result<Terms, Problems> {
    let shipped = shipped_packs();
    let mut wanted: Vec<&PackText> = vec![pack];
    let mut problems = Problems::default();
    for named in file.packs.iter().flatten().filter(|named| *named.word != *pack.id) {
        let own = library.packs.iter().chain(&shipped).find(|own| *own.id == *named.word);
        match own {
            Some(own) => wanted.push(own),
            None => problems.0.push(Problem {
                file: cases.file.as_str().into(),
                line: named.line,
                column: named.column,
                message: format!("there is no pack `{}`", named.word),
                hint: "packs are named by id, from the same folder or from those that ship".to_owned(),
            }),
        }
    }
    problems.into_result()?;
    let waivers = library.waivers.as_ref().filter(|_| file.waivers);
    compile(&wanted, &file.events, waivers, None)
}

fn text(reports: &[Report], without: &[String]) -> String {
    let mut out = String::new();
    for report in reports {
        let failed = report.failed().count();
        let passed = report.results.len() - failed;
        let mark = if failed == 0 { "ok" } else { "FAILED" };
        let head = format!(
            "{mark}: {}: {passed} of {} cases come out as written, {} checks ({})",
            report.pack,
            report.results.len(),
            report.checks(),
            report.file
        );
        wrap(&mut out, "", &head);
        for result in report.failed() {
            wrap(&mut out, "  ", &format!("✗ {} ({}:{})", result.name, report.file, result.line));
            for failure in &result.failures {
                wrap(&mut out, "      ", &failure.asked);
                wrap(&mut out, "        ", &format!("expected: {}", failure.expected));
                wrap(&mut out, "        ", &format!("found:    {}", failure.found));
            }
        }
        if !report.unnamed.is_empty() {
            let ids: Vec<&str> = report.unnamed.iter().map(|id| &**id).collect();
            wrap(&mut out, "  ", &format!("note: no case names {}", ids.join(", ")));
        }
    }
    for pack in without {
        wrap(
            &mut out,
            "",
            &format!("note: {pack} has no golden cases; they stand in {pack}.cases.toml beside it"),
        );
    }
    let cases: usize = reports.iter().map(|report| report.results.len()).sum();
    let checks: usize = reports.iter().map(Report::checks).sum();
    let failed: usize = reports.iter().map(|report| report.failed().count()).sum();
    let packs = counted(reports.len(), "pack");
    wrap(
        &mut out,
        "",
        &format!("{packs}, {cases} cases, {checks} checks: {} passed, {failed} failed", cases - failed),
    );
    out
}
