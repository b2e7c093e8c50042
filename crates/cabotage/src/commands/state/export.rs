//! `cabotage state export`: what is kept, as lines of JSON. Reads beside a running gateway and writes nothing there.

use super::{
    counted,
    stores::{Whose, holds_anything, names, open_to_read},
    told,
};
use crate::exit;
use anyhow::{Context as _, bail};
use clap::Args;
use config::checked::Store;
use domain::{
    Code, ConversationId, Fault, ResponseId, RetryClass, Source, TenantId,
    state::{StateError, StateStore},
};
use runtime::portable::{self, Count, Selected};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use storage::SqliteStateStore;

/// Writes what is kept of a workload, or one conversation of it. The file holds content in clear.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    whose: Whose,
    /// The store. Default: the one that has it
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// Only this conversation, with its responses
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Only this response and those that it followed
    #[arg(long, value_name = "ID", conflicts_with = "conversation")]
    response: Option<String>,
    /// The new file, for this user alone. Default: standard output
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Export {
    fn selected(&self) -> Option<Selected> {
        match (&self.conversation, &self.response) {
            (Some(id), _) => Some(Selected::Conversation(ConversationId::new(id))),
            (None, Some(id)) => Some(Selected::Response(ResponseId::new(id))),
            (None, None) => None,
        }
    }
}

pub(super) async fn run(asked: &Export) -> anyhow::Result<ExitCode> {
    let Some(checked) = asked.whose.read()? else { return Ok(ExitCode::from(exit::FAILED)) };
    let tenant = asked.whose.tenant();
    let selected = asked.selected();
    let meant = asked.whose.stores(&checked, asked.store.as_deref())?;
    let (own, store) = the_one_that_has_it(&meant, &tenant, selected.as_ref()).await?;
    let count = match &asked.out {
        None => {
            let mut out = BufWriter::new(io::stdout());
            let count = write(&store, &tenant, selected.as_ref(), &mut out).await?;
            out.flush()?;
            count
        }
        Some(file) => to_file(&store, &tenant, selected.as_ref(), file).await?,
    };
    eprintln!("exported from `{}`: {}", own.name, counted(&count));
    Ok(ExitCode::SUCCESS)
}

/// The store that holds what is asked for.
async fn the_one_that_has_it<'c>(
    meant: &[&'c Store],
    tenant: &TenantId,
    selected: Option<&Selected>,
) -> anyhow::Result<(&'c Store, SqliteStateStore)> {
    let mut found = Vec::new();
    for own in meant {
        let Some(store) = open_to_read(own)? else { continue };
        if has(&store, tenant, selected).await.with_context(|| format!("the state store `{}`", own.name))? {
            found.push((*own, store));
        }
    }
    if found.len() > 1 {
        let several = names(found.iter().map(|(own, _)| *own));
        bail!("several stores keep something of workload `{tenant}`: {several}; --store names one");
    }
    let looked = names(meant.iter().copied());
    found.pop().with_context(|| match selected {
        None => format!("nothing is kept of workload `{tenant}` in: {looked}"),
        Some(Selected::Conversation(id)) => {
            format!("workload `{tenant}` has no conversation `{id}` in: {looked}")
        }
        Some(Selected::Response(id)) => format!("workload `{tenant}` has no response `{id}` in: {looked}"),
    })
}

async fn has(
    store: &dyn StateStore,
    tenant: &TenantId,
    selected: Option<&Selected>,
) -> Result<bool, StateError> {
    match selected {
        None => holds_anything(store, tenant).await,
        Some(Selected::Conversation(id)) => Ok(store.conversation(tenant, id).await?.is_some()),
        Some(Selected::Response(id)) => Ok(store.response(tenant, id).await?.is_some()),
    }
}

/// Writes beside the name and renames at the end: a file under its name is whole.
async fn to_file(
    store: &SqliteStateStore,
    tenant: &TenantId,
    selected: Option<&Selected>,
    file: &Path,
) -> anyhow::Result<Count> {
    if file.exists() {
        bail!("{} is there already: name another file, or remove it", file.display());
    }
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let what = || format!("{} cannot be written", unfinished.display());
    let mut out = BufWriter::new(options.open(&unfinished).with_context(what)?);
    let count = write(store, tenant, selected, &mut out).await?;
    out.flush().with_context(what)?;
    out.get_ref().sync_all().with_context(what)?;
    fs::rename(&unfinished, file).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(count)
}

/// Writes the lines, one at a time: a store of any size goes through.
async fn write(
    store: &SqliteStateStore,
    tenant: &TenantId,
    selected: Option<&Selected>,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Count> {
    let mut broken: Option<io::Error> = None;
    let put = |line: &str| {
        writeln!(out, "{line}").map_err(|error| {
            broken = Some(error);
            Fault::new(Source::Gateway, RetryClass::Stop, Code::Internal, "the export cannot be written")
        })
    };
    let done = match selected {
        None => portable::export(store, tenant, put).await,
        Some(selected) => portable::export_selected(store, tenant, selected, put).await,
    };
    match (done, broken) {
        (_, Some(error)) => Err(error).context("the export cannot be written"),
        (Err(fault), None) => Err(told(&fault)),
        (Ok(count), None) => Ok(count),
    }
}
