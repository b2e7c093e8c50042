//! Which store is meant, and opening it.

use crate::wiring::{self, offline::INSTEAD};
use anyhow::{Context as _, bail};
use clap::Args;
use config::{Checked, checked::Store};
use domain::{
    TenantId,
    state::{StateError, StateStore},
};
use secrecy::ExposeSecret as _;
use std::path::{Path, PathBuf};
use storage::{OpenStateError, SqliteStateStore};

/// Whose state, and by which configuration.
#[derive(Debug, Args)]
pub(super) struct Whose {
    /// The configuration that names the stores
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// The workload whose state it is
    #[arg(long, value_name = "WORKLOAD")]
    pub(super) workload: String,
}

impl Whose {
    /// The owner's name in a store.
    pub(super) fn tenant(&self) -> TenantId {
        TenantId::new(&self.workload)
    }

    /// The configuration, where it has a store. `None`: its problems have been printed.
    pub(super) fn read(&self) -> anyhow::Result<Option<Checked>> {
        let Some(checked) = read(&self.config)? else { return Ok(None) };
        if !checked.workloads.iter().any(|known| known.profile.id.as_str() == self.workload) {
            let known: Vec<&str> = checked.workloads.iter().map(|known| known.profile.id.as_str()).collect();
            // Not an error: what is kept outlives the workload that it was kept for.
            eprintln!(
                "note: {} has no workload `{}`; there are: {}",
                self.config.display(),
                self.workload,
                known.join(", ")
            );
        }
        Ok(Some(checked))
    }

    /// The stores that an order without a name may be about: the workload's own, else all.
    pub(super) fn stores<'c>(
        &self,
        checked: &'c Checked,
        named: Option<&str>,
    ) -> anyhow::Result<Vec<&'c Store>> {
        if let Some(name) = named {
            return Ok(vec![by_name(checked, &self.config, name)?]);
        }
        let all = &checked.state.stores;
        let own = |store: &&Store| store.workloads.iter().any(|own| own.as_str() == self.workload);
        Ok(all.iter().find(own).map_or_else(|| all.iter().collect(), |own| vec![own]))
    }

    /// The one store that something can be put into.
    pub(super) fn store<'c>(&self, checked: &'c Checked, named: Option<&str>) -> anyhow::Result<&'c Store> {
        match self.stores(checked, named)?.as_slice() {
            [one] => Ok(one),
            several => bail!("into which store? --store is one of: {}", names(several.iter().copied())),
        }
    }
}

/// Reads a configuration that has a store. `None`: its problems have been printed.
pub(super) fn read(file: &Path) -> anyhow::Result<Option<Checked>> {
    let Some(checked) = wiring::offline::read(file)? else { return Ok(None) };
    if checked.state.stores.is_empty() {
        bail!("{} names no state store ([[state.store]])", file.display());
    }
    Ok(Some(checked))
}

/// The store of that name.
pub(super) fn by_name<'c>(checked: &'c Checked, file: &Path, name: &str) -> anyhow::Result<&'c Store> {
    let all = &checked.state.stores;
    all.iter().find(|store| store.name == name).with_context(|| {
        format!("{} has no state store `{name}`; there are: {}", file.display(), names(all.iter()))
    })
}

/// Names for a message.
pub(super) fn names<'c>(stores: impl Iterator<Item = &'c Store>) -> String {
    stores.map(|store| store.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Opens a store beside whoever writes it. `None`: there is no file, so nothing was ever kept.
pub(super) fn open_to_read(store: &Store) -> anyhow::Result<Option<SqliteStateStore>> {
    if !store.path.exists() {
        return Ok(None);
    }
    let opened = SqliteStateStore::open_read_only(settings(store)?);
    opened.map(Some).with_context(|| format!("the state store `{}` cannot be read", store.name))
}

/// Opens a store to change it. That is for one process at a time.
pub(super) fn open_to_write(store: &Store) -> anyhow::Result<SqliteStateStore> {
    let made = wiring::state::folder_of(store);
    made.and_then(|()| match SqliteStateStore::open(settings(store)?) {
        Ok(opened) => Ok(opened),
        Err(OpenStateError::InUse(path)) => bail!(
            "the state store `{}` ({}) is open in another process, and only one may write it: stop that gateway, \
             run this again, then start it. `state export` needs no stop",
            store.name,
            path.display()
        ),
        Err(error) => {
            Err(error).with_context(|| format!("the state store `{}` cannot be opened", store.name))
        }
    })
}

fn settings(store: &Store) -> anyhow::Result<storage::StateSettings> {
    if let Some(variable) = store.master_key.expose_secret().strip_prefix(INSTEAD) {
        bail!(
            "the master key of the state store `{}` is not at hand: set the environment variable {variable}",
            store.name
        );
    }
    wiring::state::settings(store)
}

/// Whether a store holds anything of a tenant.
pub(super) async fn holds_anything(store: &dyn StateStore, tenant: &TenantId) -> Result<bool, StateError> {
    Ok(!store.conversations(tenant, None, 1).await?.is_empty()
        || !store.responses(tenant, None, 1).await?.is_empty())
}
