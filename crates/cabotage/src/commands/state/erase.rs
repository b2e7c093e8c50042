//! `cabotage state erase`: what is kept of a person, or of a workload, and a receipt that names no content.

use super::stores::{Whose, by_name, open_to_write};
use crate::{clock::SystemClock, exit};
use anyhow::Context as _;
use clap::Args;
use config::checked::Store;
use domain::{
    Clock as _, SubjectId,
    state::{Erase as What, StateStore as _},
};
use std::process::ExitCode;

/// Erases, and prints a receipt of each store as a line of JSON. No gateway may have the stores open.
#[derive(Debug, Args)]
pub(super) struct Erase {
    #[command(flatten)]
    whose: Whose,
    /// The person, as the application names them (`user` in its requests)
    #[arg(long, value_name = "ID", required_unless_present = "everything")]
    subject: Option<String>,
    /// Everything that is kept of the workload
    #[arg(long, conflicts_with = "subject")]
    everything: bool,
    /// Only in this store. Default: in all
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
}

pub(super) async fn run(asked: &Erase) -> anyhow::Result<ExitCode> {
    let Some(checked) = asked.whose.read()? else { return Ok(ExitCode::from(exit::FAILED)) };
    let tenant = asked.whose.tenant();
    let meant: Vec<&Store> = match &asked.store {
        Some(name) => vec![by_name(&checked, &asked.whose.config, name)?],
        // A workload may have been bound to another store before.
        None => checked.state.stores.iter().collect(),
    };
    let what =
        asked.subject.as_deref().map_or(What::Tenant, |subject| What::Subject(SubjectId::new(subject)));
    let now_us = SystemClock::real().now().as_microsecond();
    // All are opened before the first is changed: erased is everywhere, or nowhere.
    let mut stores = Vec::new();
    for own in meant.into_iter().filter(|own| own.path.exists()) {
        stores.push((own, open_to_write(own)?));
    }
    let mut erased = 0;
    for (own, store) in &stores {
        let receipt = store.erase(&tenant, what.clone(), now_us).await;
        let receipt = receipt.with_context(|| format!("erasing in the state store `{}`", own.name))?;
        erased += receipt.responses + receipt.conversations + receipt.items + receipt.keys_destroyed;
        println!("{}", serde_json::to_string(&receipt)?);
    }
    if erased == 0 {
        eprintln!("note: nothing was kept of it; look at --workload and --subject if that is a surprise");
    }
    eprintln!("note: exports are files of yours and are not reached; remove those that hold it");
    Ok(ExitCode::SUCCESS)
}
