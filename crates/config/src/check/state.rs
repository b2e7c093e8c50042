//! What the gateway keeps, and where.

use super::Check;
use crate::{
    checked::{Journal, Model, State, Store, Workload},
    document::{at, did_you_mean},
    raw,
};
use domain::{ModelName, WorkloadId};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Most stores of one gateway.
const MAX_STORES: usize = 64;

impl Check<'_> {
    pub(super) fn state(
        &mut self,
        raw: &raw::State,
        journal: &Journal,
        workloads: &[Workload],
        models: &[Model],
    ) -> State {
        let month = Duration::from_hours(30 * 24);
        let keep = match raw.keep.as_deref() {
            Some("forever") => None,
            keep => Some(self.duration(keep, at!["state", "keep"]).unwrap_or(month)),
        };
        let turn_wait = self.duration(raw.turn_wait.as_deref(), at!["state", "turn_wait"]);
        if let Some(wanted) = &raw.compaction_model
            && !models.iter().any(|model| model.name.as_str() == wanted)
        {
            let message = format!("there is no model `{}`", wanted.escape_debug());
            let hint = did_you_mean(wanted, models.iter().map(|model| model.name.as_str()));
            self.document.wrong_at(at!["state", "compaction_model"], message, hint);
        }
        if raw.store.len() > MAX_STORES {
            let message = format!("there are more than {MAX_STORES} stores");
            self.document.wrong_at(at!["state", "store"], message, "put them together");
            return State::default();
        }
        let mut seen = Seen::default();
        let stores = raw
            .store
            .iter()
            .enumerate()
            .filter_map(|(index, written)| self.store(written, index, journal, workloads, &mut seen))
            .collect();
        State {
            refuse_concurrent: matches!(raw.concurrent_turns, Some(raw::ConcurrentTurns::Refuse)),
            turn_wait: turn_wait.unwrap_or(Duration::from_mins(1)),
            keep,
            compaction_model: raw.compaction_model.as_deref().map(ModelName::new),
            stores,
        }
    }

    fn store(
        &mut self,
        raw: &raw::Store,
        index: usize,
        journal: &Journal,
        workloads: &[Workload],
        seen: &mut Seen,
    ) -> Option<Store> {
        let name = raw.name.clone().unwrap_or_else(|| "state".to_owned());
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if name.is_empty() || name.len() > 64 || !plain {
            let message = format!("`{}` is not a store's name", name.escape_debug());
            let hint = "1 to 64 letters, digits, `-` and `_`";
            self.document.wrong_at(at!["state", "store", index, "name"], message, hint);
        }
        if !seen.names.insert(name.clone()) {
            let message = format!("two stores are called `{name}`");
            self.document.wrong_at(at!["state", "store", index, "name"], message, "give each its own `name`");
        }
        let path = match &raw.path {
            Some(path) => self.path(path),
            None => journal.dir.join(format!("{name}.db")),
        };
        let mut own = Vec::new();
        for (place, wanted) in raw.workloads.iter().enumerate() {
            let at = at!["state", "store", index, "workloads", place];
            let Some(found) = workloads.iter().find(|workload| workload.profile.id.as_str() == wanted) else {
                let message = format!("there is no workload `{}`", wanted.escape_debug());
                let known = workloads.iter().map(|workload| workload.profile.id.as_str());
                self.document.wrong_at(at, message, did_you_mean(wanted, known));
                continue;
            };
            if let Some(other) = seen.bound.insert(found.profile.id.clone(), name.clone()) {
                let message = format!("`{wanted}` is bound to the store `{other}` already");
                self.document.wrong_at(at, message, "a workload has at most one store of its own");
            }
            own.push(found.profile.id.clone());
        }
        let stated = self.facts_of(&raw.facts, at!["state", "store", index, "facts"]);
        let at = at!["state", "store", index, "master_key"];
        let Some(written) = &raw.master_key else {
            let hint =
                "for instance: openssl rand -hex 32 > state.key, and master_key = { file = \"state.key\" }";
            self.document.wrong_at(at, "the store has no `master_key`: nothing is kept unencrypted", hint);
            return None;
        };
        if matches!(written, raw::Secret::Identity(_)) {
            self.document.wrong_at(
                at,
                "a master key is no identity",
                "name a file or an environment variable",
            );
            return None;
        }
        let master_key = self.secret(written, at)?;
        Some(Store { name, path, master_key, stated, workloads: own })
    }
}

/// What earlier stores have.
#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    bound: BTreeMap<WorkloadId, String>,
}
