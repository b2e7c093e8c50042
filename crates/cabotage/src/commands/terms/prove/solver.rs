//! The cvc5 process, and the questions put to it through Cedar's symbolic compiler.
//!
//! It is a process of its own, started by this command alone: nothing of it is linked, and a gateway never starts it.

use anyhow::{Context as _, bail};
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env, solver::LocalSolver};
use placement::terms::prove::{Body, Inquiry, Query, Relation, example::Shows};
use std::{ffi::OsString, process::Stdio, time::Duration};
use tokio::process::Command;

/// The solver's own limit for one question.
const LIMIT: Duration = Duration::from_secs(30);
/// Ours, should it not keep its own.
const PATIENCE: Duration = Duration::from_secs(35);

/// Halves the time that questions about sets of words take; asked for where this cvc5 knows it.
const FASTER: &str = "--no-sets-infer-as-lemmas";

/// Where cvc5 is, and which one.
#[derive(Clone, Debug)]
pub(super) struct Cvc5 {
    program: OsString,
    faster: bool,
    /// `cvc5 1.3.1`.
    pub(super) name: String,
}

impl Cvc5 {
    /// The program named by `CVC5`, else `cvc5` on the PATH. `None`: there is none.
    pub(super) fn find() -> anyhow::Result<Option<Self>> {
        let program =
            std::env::var_os("CVC5").filter(|path| !path.is_empty()).unwrap_or_else(|| "cvc5".into());
        let ask = |arguments: &[&str]| {
            std::process::Command::new(&program).args(arguments).stdin(Stdio::null()).output()
        };
        let output = match ask(&["--version"]) {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be started", program.display()));
            }
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let Some((_, after)) = text.split_once("cvc5 version ") else {
            bail!("{} is not cvc5: it does not tell its version", program.display());
        };
        let version = after.split_whitespace().next().unwrap_or("").trim_end_matches(['.', ',', '[']);
        let name = format!("cvc5 {version}");
        let faster = ask(&[FASTER, "--version"]).is_ok_and(|output| output.status.success());
        Ok(Some(Self { name, faster, program }))
    }

    fn start(&self) -> anyhow::Result<CedarSymCompiler<LocalSolver>> {
        let mut command = Command::new(&self.program);
        command.args(["--lang", "smt", &format!("--tlimit-per={}", LIMIT.as_millis())]);
        command.args(self.faster.then_some(FASTER)).kill_on_drop(true);
        let process = LocalSolver::from_command(&mut command)
            .with_context(|| format!("{} cannot be started", self.program.display()))?;
        Ok(CedarSymCompiler::new(process)?)
    }
}

/// What the solver said of one question.
#[derive(Debug)]
pub(super) enum Said {
    /// There is no such request.
    No,
    /// There is: this one.
    Such(Box<Env>),
    /// It does not know.
    Nothing(String),
}

/// A running cvc5. One process answers all questions; it is started anew after it failed.
pub(super) struct Solver {
    cvc5: Cvc5,
    running: Option<CedarSymCompiler<LocalSolver>>,
    /// Questions put so far.
    pub(super) asked: usize,
}

impl Solver {
    pub(super) const fn new(cvc5: Cvc5) -> Self {
        Self { cvc5, running: None, asked: 0 }
    }

    /// Who answers.
    pub(super) fn name(&self) -> &str {
        &self.cvc5.name
    }

    /// Is there a request that shows the contrary, or that the query is about?
    pub(super) async fn ask(&mut self, query: &Compiled, shows: Shows) -> anyhow::Result<Said> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.cvc5.start()?,
        };
        self.asked += 1;
        let answer = tokio::time::timeout(PATIENCE, put(&mut running, query, shows)).await;
        Ok(match answer {
            Ok(Ok(found)) => {
                self.running = Some(running);
                found.map_or(Said::No, |env| Said::Such(Box::new(env)))
            }
            // The process is dropped and with it killed: what it would say next answers no new question.
            Ok(Err(error)) => Said::Nothing(explained(&error)),
            Err(_) => Said::Nothing(format!("the solver gave no answer within {} s", PATIENCE.as_secs())),
        })
    }
}

/// A query as logic.
pub(super) enum Compiled {
    /// Two policy sets and how they should stand; what must permit something for the query to be about anything.
    Sets {
        left: Box<CompiledPolicySet>,
        right: Box<CompiledPolicySet>,
        subject: Option<Box<CompiledPolicySet>>,
        relation: Relation,
    },
    /// A policy that should not fail.
    Policy(Box<CompiledPolicy>),
}

/// Compiles a query to logic. No solver takes part.
pub(super) fn compile(inquiry: &Inquiry<'_>, query: &Query) -> anyhow::Result<Compiled> {
    let schema = inquiry.schema();
    match &query.body {
        Body::Sets { left, right, subject, relation } => {
            let set = |policies| CompiledPolicySet::compile(policies, &query.env, schema).map_err(Box::new);
            Ok(Compiled::Sets {
                left: Box::new(set(left)?),
                right: Box::new(set(right)?),
                subject: subject.as_deref().map(set).transpose()?.map(Box::new),
                relation: *relation,
            })
        }
        Body::NeverErrors(policy) => {
            Ok(Compiled::Policy(Box::new(CompiledPolicy::compile(policy, &query.env, schema)?)))
        }
    }
}

async fn put(
    solver: &mut CedarSymCompiler<LocalSolver>,
    query: &Compiled,
    shows: Shows,
) -> cedar_policy_symcc::err::Result<Option<Env>> {
    match (query, shows) {
        (Compiled::Policy(policy), Shows::Contrary) => {
            solver.check_never_errors_with_counterexample_opt(policy).await
        }
        (Compiled::Policy(policy), Shows::Instance) => {
            solver.check_never_matches_with_counterexample_opt(policy).await
        }
        (Compiled::Sets { left, right, relation, .. }, Shows::Contrary) => match relation {
            Relation::Disjoint => solver.check_disjoint_with_counterexample_opt(left, right).await,
            Relation::Implies => solver.check_implies_with_counterexample_opt(left, right).await,
            Relation::Equivalent => solver.check_equivalent_with_counterexample_opt(left, right).await,
        },
        (Compiled::Sets { left, subject, .. }, Shows::Instance) => {
            solver.check_always_denies_with_counterexample_opt(subject.as_ref().unwrap_or(left)).await
        }
    }
}

fn explained(error: &cedar_policy_symcc::err::Error) -> String {
    if matches!(error, cedar_policy_symcc::err::Error::SolverUnknown) {
        return format!("the solver does not know, or not within {} s", LIMIT.as_secs());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
