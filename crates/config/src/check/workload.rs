//! Workloads and the keys of their callers.

use super::{
    Check,
    levels::{Levels, Narrowed},
};
use crate::{
    checked::{Key, Model, Workload},
    document::{at, did_you_mean},
    raw::{self, Raw},
};
use domain::{KeyId, ModelName, WorkloadId};
use engine::Explains;
use placement::WorkloadProfile;
use secrecy::ExposeSecret as _;
use std::collections::{BTreeMap, BTreeSet};

/// The workload of keys where no workload is written.
const DEFAULT: &str = "default";

/// A key's secret below this length is noted: it can be guessed.
const SHORT_SECRET: usize = 20;

impl Check<'_> {
    pub(super) fn workloads(&mut self, raw: &Raw, models: &[Model], levels: &Levels) -> Vec<Workload> {
        let usual = explains(raw.explain_to_callers).unwrap_or_default();
        if raw.workload.is_empty() {
            return vec![Workload {
                profile: WorkloadProfile::new(WorkloadId::new(DEFAULT)),
                explains: usual,
                may_pin: false,
                models: Vec::new(),
                class: None,
            }];
        }
        let mut names = BTreeSet::new();
        let mut all = Vec::new();
        for (index, written) in raw.workload.iter().enumerate() {
            let Some(name) = written.name.as_deref() else { continue };
            self.name(name, "workload", index);
            if !names.insert(name) {
                let message = format!("two workloads are called `{name}`");
                self.document.wrong_at(at!["workload", index, "name"], message, "give each its own name");
            }
            for (position, wanted) in written.models.iter().enumerate() {
                self.known_model(wanted, raw, models, index, position);
            }
            let narrowed = self.narrowed(written, index, levels);
            all.push(Workload {
                models: narrowed.models().iter().map(|name| ModelName::new(name)).collect(),
                profile: profile(name, written, &narrowed),
                explains: explains(written.explain_to_callers).unwrap_or(usual),
                may_pin: written.may_pin,
                class: self.class_of(written, index),
            });
        }
        all
    }

    fn known_model(&mut self, wanted: &str, raw: &Raw, models: &[Model], index: usize, position: usize) {
        let known = models.iter().any(|model| model.name.as_str() == wanted);
        let broken = raw.deployment.iter().any(|deployment| deployment.provider.model == wanted);
        if !known && !broken {
            let message = format!("there is no model `{}`", wanted.escape_debug());
            let hint = did_you_mean(wanted, models.iter().map(|model| model.name.as_str()));
            self.document.wrong_at(at!["workload", index, "models", position], message, hint);
        }
    }

    pub(super) fn keys(&mut self, raw: &Raw, workloads: &[Workload]) -> Vec<Key> {
        if raw.key.is_empty() && !self.document.mentions("key") {
            let hint = "add: [[key]] with id = \"me\" and secret = { env = \"CABOTAGE_KEY\" }";
            self.document.wrong_at(at!["key"], "there is no key: nobody could call", hint);
        }
        let mut ids = BTreeSet::new();
        let mut secrets: BTreeMap<String, usize> = BTreeMap::new();
        let mut all = Vec::new();
        for (index, written) in raw.key.iter().enumerate() {
            let workload = self.workload_of(written, raw, workloads, index);
            let secret = written.secret.as_ref().and_then(|secret| self.caller_secret(secret, index));
            if let Some(secret) = &secret
                && let Some(first) = secrets.insert(secret.expose_secret().to_owned(), index)
            {
                let line = self.document.line(at!["key", first]);
                let hint = format!("the other is at line {line}; every key needs its own");
                self.document.wrong_at(at!["key", index, "secret"], "two keys have the same secret", hint);
            }
            let Some(id) = written.id.as_deref() else { continue };
            self.name(id, "key", index);
            if !ids.insert(id) {
                let message = format!("two keys are called `{id}`");
                self.document.wrong_at(at!["key", index, "id"], message, "give each its own id");
            }
            if let (Some(workload), Some(secret)) = (workload, secret) {
                all.push(Key { id: KeyId::new(id), secret, workload });
            }
        }
        all
    }

    fn caller_secret(&mut self, written: &raw::Secret, index: usize) -> Option<secrecy::SecretString> {
        let path = at!["key", index, "secret"];
        if matches!(written, raw::Secret::Identity(_)) {
            let hint = "write { env = \"NAME\" } or { file = \"path\" }";
            self.document.wrong_at(path, "callers have no cloud identity here", hint);
            return None;
        }
        let secret = self.secret(written, path)?;
        if secret.expose_secret().len() < SHORT_SECRET {
            let message = format!("the secret is shorter than {SHORT_SECRET} characters and can be guessed");
            self.document.note_at(path, message, "for instance: openssl rand -hex 20");
        }
        Some(secret)
    }

    fn workload_of(
        &mut self,
        key: &raw::Key,
        raw: &Raw,
        workloads: &[Workload],
        index: usize,
    ) -> Option<WorkloadId> {
        match key.workload.as_deref() {
            None if raw.workload.is_empty() => Some(WorkloadId::new(DEFAULT)),
            None => {
                let message = "this `key` has no `workload`";
                self.document.wrong_at(
                    at!["key", index],
                    message,
                    "add `workload = …`: every call belongs to one",
                );
                None
            }
            Some(wanted) => {
                let found = workloads.iter().find(|workload| workload.profile.id.as_str() == wanted);
                if found.is_none() {
                    let message = format!("there is no workload `{}`", wanted.escape_debug());
                    let hint =
                        did_you_mean(wanted, workloads.iter().map(|workload| workload.profile.id.as_str()));
                    self.document.wrong_at(at!["key", index, "workload"], message, hint);
                }
                found.map(|workload| workload.profile.id.clone())
            }
        }
    }
}

fn explains(written: Option<raw::Explain>) -> Option<Explains> {
    written.map(|word| match word {
        raw::Explain::None => Explains::None,
        raw::Explain::Ids => Explains::Ids,
        raw::Explain::Full => Explains::Full,
    })
}

fn profile(name: &str, written: &raw::Workload, narrowed: &Narrowed) -> WorkloadProfile {
    let word = |text: &Option<String>, usual: &str| text.as_deref().unwrap_or(usual).into();
    WorkloadProfile {
        id: WorkloadId::new(name),
        organisation: narrowed.organisation().unwrap_or("none").into(),
        team: word(&written.team, "none"),
        tags: narrowed.tags().iter().map(|tag| tag.as_str().into()).collect(),
        residency: narrowed.residency().unwrap_or("none").into(),
        pins: narrowed.pins(),
        retention_required: narrowed.retention().unwrap_or("any").into(),
        risk_class: word(&written.risk_class, "none"),
        latency_class: word(&written.latency_class, "none"),
        country: word(&written.country, "none"),
        modes: narrowed.modes(),
        data_classes: narrowed.data_classes().iter().map(|class| class.as_str().into()).collect(),
    }
}
