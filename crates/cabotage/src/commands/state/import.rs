//! `cabotage state import`: an export, an OpenAI conversation or a list of messages, put into a store. The same file
//! can be imported again: what is there already is left as it is.

use super::{
    stores::{Whose, open_to_write},
    told,
};
use crate::{clock::SystemClock, exit};
use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use domain::{Clock as _, TenantId};
use runtime::portable::{self, Imported, PortableConversation};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};
use storage::SqliteStateStore;

/// Longest line of an export, and longest file of another format, in bytes.
const TEXT_MAX: u64 = 1 << 30;

/// Puts an export, an OpenAI conversation or a list of messages into a store.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    whose: Whose,
    /// The store; needed where there are several and the workload is bound to none
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// What the file is
    #[arg(long, value_enum, default_value_t = Kind::State)]
    kind: Kind,
    /// The id of the conversation that a list of messages becomes
    #[arg(long, value_name = "ID", required_if_eq("kind", "messages"))]
    id: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// What `state export` writes
    State,
    /// A conversation of OpenAI's API: {"id", "created_at", "metadata", "items"}
    OpenaiConversation,
    /// Chat messages: [{"role", "content", …}]
    Messages,
}

pub(super) async fn run(asked: &Import) -> anyhow::Result<ExitCode> {
    if let (Some(id), true) = (&asked.id, asked.kind == Kind::Messages) {
        check_id(id)?;
    }
    let Some(checked) = asked.whose.read()? else { return Ok(ExitCode::from(exit::FAILED)) };
    let tenant = asked.whose.tenant();
    let own = asked.whose.store(&checked, asked.store.as_deref())?;
    // Before the store is touched: a file that cannot be read, or a list that cannot be understood.
    let input = open(&asked.file)?;
    let done = match asked.kind {
        Kind::State => {
            let store = open_to_write(own)?;
            lines(&store, &tenant, input).await?
        }
        Kind::OpenaiConversation | Kind::Messages => {
            let made = read_other(asked, input)?;
            one(&open_to_write(own)?, &tenant, made).await?
        }
    };
    Ok(say(&done, &own.name, asked.json))
}

/// Ids go into paths of the API.
fn check_id(id: &str) -> anyhow::Result<()> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    match id.strip_prefix("conv_") {
        Some(rest) if !rest.is_empty() && id.len() <= 128 && plain => Ok(()),
        _ => bail!(
            "`{id}` is not a conversation's id: `conv_` and letters, digits, `_` or `-`, at most 128 in all"
        ),
    }
}

fn open(file: &Path) -> anyhow::Result<Box<dyn BufRead + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn read_other(asked: &Import, input: Box<dyn BufRead + Send>) -> anyhow::Result<PortableConversation> {
    let what = || format!("{} cannot be imported", asked.file.display());
    let mut text = String::new();
    input.take(TEXT_MAX).read_to_string(&mut text).with_context(what)?;
    let made = match asked.kind {
        Kind::Messages => {
            let now_us = SystemClock::real().now().as_microsecond();
            portable::from_messages(asked.id.as_deref().unwrap_or_default(), now_us, &text)
        }
        _ => portable::from_openai_conversation(&text),
    };
    made.map_err(|fault| {
        let at = fault.param.as_deref().map(|at| format!(" (at {at})")).unwrap_or_default();
        anyhow!("{}{at}", fault.message).context(what())
    })
}

/// The lines of an export.
async fn lines(
    store: &SqliteStateStore,
    tenant: &TenantId,
    input: Box<dyn BufRead + Send>,
) -> anyhow::Result<Imported> {
    let mut broken = None;
    let lines = Lines { input, broken: &mut broken };
    let done = portable::import(store, tenant, lines).await;
    if let Some(error) = broken {
        return Err(error).context("the file cannot be read to its end; what came before is imported");
    }
    done.context("the import stopped; what came before stands, and the same file can be imported again")
}

/// Lines of a file within the bound; ends at the first error and keeps it.
struct Lines<'e> {
    input: Box<dyn BufRead + Send>,
    broken: &'e mut Option<io::Error>,
}

impl Iterator for Lines<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        match (&mut self.input).take(TEXT_MAX).read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => {
                line.truncate(line.trim_end_matches(['\n', '\r']).len());
                Some(line)
            }
            Err(error) => {
                *self.broken = Some(error);
                None
            }
        }
    }
}

/// A conversation of another's.
async fn one(
    store: &SqliteStateStore,
    tenant: &TenantId,
    mut made: PortableConversation,
) -> anyhow::Result<Imported> {
    // The second import of a list would have another date, and be another conversation.
    let id = domain::ConversationId::new(&made.id);
    if let Some(there) = domain::state::StateStore::conversation(store, tenant, &id).await? {
        made.created_us = there.created_us;
    }
    let new = portable::import_conversation(store, tenant, made).await.map_err(|fault| told(&fault))?;
    Ok(Imported { new: u64::from(new), already: u64::from(!new), different: Vec::new(), complete: true })
}

/// What was done. Exit 1 where something was left.
fn say(done: &Imported, store: &str, as_json: bool) -> ExitCode {
    if as_json {
        println!("{}", serde_json::json!(done));
    } else {
        println!("imported into `{store}`: {} new, {} there already", done.new, done.already);
        for id in &done.different {
            println!("  {id} is there already and says something else; it was left as it is");
        }
        if !done.complete {
            println!("  the file ends before its last line; import the rest when you have it");
        }
    }
    let all = done.complete && done.different.is_empty();
    if all { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_that_a_path_can_hold() {
        assert!(check_id("conv_a-1_B").is_ok());
        for wrong in ["", "conv_", "a", "conv_a/b", "conv_ä", &format!("conv_{}", "x".repeat(124))] {
            assert!(check_id(wrong).is_err(), "{wrong}");
        }
    }
}
