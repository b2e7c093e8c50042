//! `cabotage terms prove`: what must hold of terms for every call that there can be, shown by Cedar's symbolic
//! compiler and cvc5, or disproved by a call.
//!
//! The questions, what becomes of them, and what is said of a counterexample stand in `placement::terms::prove`,
//! which is pure. Here are the files and the solver's process.

mod packs;
mod solver;

use crate::clock::SystemClock;
use anyhow::Context as _;
use clap::Args;
use domain::Clock as _;
use packs::Asked;
use placement::{
    Terms,
    terms::prove::{
        Claim, ClaimKind, Example, Inquiry, Outcome, Query, Report, Verdict, Words, example::Shows,
        report::MEANING,
    },
};
use solver::{Cvc5, Said, Solver};
use std::{process::ExitCode, time::Duration};

/// A claim is false, or about nothing.
const FALSE: u8 = 3;
/// The solver did not answer a question.
const UNDECIDED: u8 = 4;
/// There is no solver on this machine.
const NO_SOLVER: u8 = 5;

/// What must hold of terms for every call that there can be: proved, or disproved by a call.
/// Exit 0: all proved; 3: a claim is false; 4: the solver gave no answer; 5: there is no cvc5.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// A shipped pack by its name, a pack's file, a file of questions (`*.prove.toml`) or a folder of packs.
    /// Without any: all that ship
    #[arg(value_name = "PACK|FILE")]
    what: Vec<String>,
    /// Only claims whose id contains this
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Proves, and says what it found.
pub(crate) fn run(arguments: &Prove) -> anyhow::Result<ExitCode> {
    let clock = SystemClock::real();
    let now = || clock.monotonic();
    let Some(cvc5) = Cvc5::find()? else {
        eprintln!(
            "error: proofs need the solver cvc5, and there is none on this machine\n    \
             hint: Debian and Ubuntu: apt-get install cvc5. Elsewhere: https://github.com/cvc5/cvc5/releases. \
             One that is not on the PATH is named by the variable CVC5"
        );
        return Ok(ExitCode::from(NO_SOLVER));
    };
    let asked = packs::asked(&arguments.what)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut solver = Solver::new(cvc5);
    let began = now();
    let mut claims = Vec::new();
    for asked in &asked {
        claims.extend(runtime.block_on(prove(asked, arguments.only.as_deref(), &mut solver, &now))?);
    }
    let took_ms = millis(now().saturating_sub(began));
    let report = Report { solver: solver.name().to_owned(), meaning: MEANING, claims, took_ms };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(ExitCode::from(match report.counts() {
        (_, 0, 0) => 0,
        (_, 0, _) => UNDECIDED,
        _ => FALSE,
    }))
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

async fn prove(
    asked: &Asked,
    only: Option<&str>,
    solver: &mut Solver,
    now: &impl Fn() -> Duration,
) -> anyhow::Result<Vec<Outcome>> {
    let terms = asked.terms()?;
    let mut outcomes = Vec::new();
    let mut fails = false;
    // The solver skips a rule that fails, as Cedar does, where the gateway refuses: first, that none does.
    let (first, then): (Vec<_>, Vec<_>) =
        asked.questions.claims.iter().partition(|claim| claim.kind == ClaimKind::NeverErrors);
    for claim in first.into_iter().chain(then) {
        if only.is_some_and(|only| !claim.id.contains(only)) {
            continue;
        }
        let (began, before) = (now(), solver.asked);
        let verdict = if fails {
            Verdict::Undecided { reason: "a rule of the pack can fail: mend it first".to_owned() }
        } else {
            answer(asked, claim, &terms, solver)
                .await
                .with_context(|| format!("the claim `{}` ({}:{})", claim.id, claim.file, claim.line))?
        };
        fails |= claim.kind == ClaimKind::NeverErrors && !matches!(verdict, Verdict::Proved { .. });
        let took = millis(now().saturating_sub(began));
        outcomes.push(Outcome::new(claim, asked.packs().to_vec(), verdict, solver.asked - before, took));
    }
    Ok(outcomes)
}

async fn answer(asked: &Asked, claim: &Claim, terms: &Terms, solver: &mut Solver) -> anyhow::Result<Verdict> {
    let named = match &claim.kind {
        ClaimKind::PermitsAllThat(comparison) | ClaimKind::Equivalent(comparison) => {
            comparison.other.as_ref()
        }
        _ => None,
    };
    let compiled = named.map(|other| asked.other(other)).transpose()?;
    let inquiry = Inquiry { claim, terms, other: compiled.as_ref().unwrap_or(terms) };
    let mut instance = None;
    let mut undecided = None;
    for query in inquiry.queries().map_err(anyhow::Error::msg)? {
        match find(&inquiry, &query, Shows::Contrary, solver).await? {
            Found::Such(counterexample) => return Ok(Verdict::Refuted { counterexample }),
            Found::Nothing(reason) => undecided = Some(reason),
            Found::No => {}
        }
        // One call of the scope shows that the claim is about something, and that the engine judges it so too.
        if instance.is_none() && claim.kind != ClaimKind::NeverErrors {
            match find(&inquiry, &query, Shows::Instance, solver).await? {
                Found::Such(example) => instance = Some(*example),
                Found::Nothing(reason) => undecided = Some(reason),
                Found::No => {}
            }
        }
    }
    Ok(match undecided {
        Some(reason) => Verdict::Undecided { reason },
        None if instance.is_none() && claim.kind != ClaimKind::NeverErrors => Verdict::Vacuous,
        None => Verdict::Proved { instance },
    })
}

/// What came of a query, as the engine sees it.
enum Found {
    No,
    Such(Box<Example>),
    Nothing(String),
}

/// Looks for a call that shows it: first among all words, then, where that gave one that there cannot be, among
/// those of the lists.
async fn find(
    inquiry: &Inquiry<'_>,
    query: &Query,
    shows: Shows,
    solver: &mut Solver,
) -> anyhow::Result<Found> {
    let mut narrow = None;
    for _ in [Words::Any, Words::Known] {
        let query = narrow.as_ref().unwrap_or(query);
        let env = match solver.ask(&solver::compile(inquiry, query)?, shows).await? {
            Said::No => return Ok(Found::No),
            Said::Nothing(reason) => return Ok(Found::Nothing(reason)),
            Said::Such(env) => env,
        };
        let example = Example::of(inquiry, query.action, (&env.request, &env.entities), shows);
        match example.map_err(anyhow::Error::msg)? {
            Some(example) => return Ok(Found::Such(Box::new(example))),
            None => narrow = Some(inquiry.narrowed(query.action).map_err(anyhow::Error::msg)?),
        }
    }
    anyhow::bail!(
        "the solver gave words of no list where it was told the lists (this is a bug; please report it)"
    )
}
