//! Names that can be asked for.

use super::Check;
use crate::{
    checked::{Deployment, Model},
    document::{at, did_you_mean},
    raw::{self, Raw},
};
use domain::{DeploymentId, ModelName};
use std::collections::BTreeMap;

impl Check<'_> {
    /// Every name: the operator's `[[model]]`s with their aliases, and each deployment's own model where no
    /// `[[model]]` has its name.
    pub(super) fn models(&mut self, raw: &Raw, deployments: &[Deployment]) -> Vec<Model> {
        let mut names: BTreeMap<String, Vec<DeploymentId>> = BTreeMap::new();
        for (index, model) in raw.model.iter().enumerate() {
            let Some(name) = model.name.as_deref() else { continue };
            let targets = self.targets(model, name, index, raw, deployments);
            let own = std::iter::once((name, 0)).chain(model.aliases.iter().map(|alias| (alias.as_str(), 1)));
            for (count, (name, alias)) in own.enumerate() {
                self.name(name, "model", index);
                if names.insert(name.to_owned(), targets.clone()).is_some() {
                    let message = format!("two models are called `{name}`");
                    let path = at!["model", index, "aliases", count.saturating_sub(1)];
                    let path = if alias == 1 { &path[..] } else { at!["model", index, "name"] };
                    self.document.wrong_at(path, message, "every name stands for one thing");
                }
            }
        }
        for deployment in deployments {
            let written = raw.model.iter().any(|model| {
                let name = deployment.model.as_str();
                model.name.as_deref() == Some(name) || model.aliases.iter().any(|alias| alias == name)
            });
            if !written {
                names.entry(deployment.model.to_string()).or_default().push(deployment.id.clone());
            }
        }
        names
            .into_iter()
            .map(|(name, deployments)| Model { name: ModelName::new(&name), deployments })
            .collect()
    }

    fn targets(
        &mut self,
        model: &raw::Model,
        name: &str,
        index: usize,
        raw: &Raw,
        deployments: &[Deployment],
    ) -> Vec<DeploymentId> {
        if let Some(listed) = &model.deployments {
            if model.of.is_some() {
                let hint = "`of` takes all deployments of a model, `deployments` names some";
                self.document.wrong_at(at!["model", index, "of"], "`of` stands beside `deployments`", hint);
            }
            if listed.is_empty() {
                let message = format!("the model `{name}` has no deployment");
                self.document.wrong_at(at!["model", index, "deployments"], message, "name at least one");
            }
            return self.listed(listed, index, raw, deployments);
        }
        let of = model.of.as_deref().unwrap_or(name);
        // Broken deployments count as well: their own errors are told elsewhere.
        let written = raw.deployment.iter().any(|deployment| deployment.provider.model == of);
        if !written {
            let known = raw.deployment.iter().map(|deployment| deployment.provider.model.as_str());
            let key = if model.of.is_some() { "of" } else { "name" };
            let message = format!("no deployment has the model `{}`", of.escape_debug());
            let hint = format!("{} (or list `deployments`)", did_you_mean(of, known));
            self.document.wrong_at(at!["model", index, key], message, hint);
        }
        deployments.iter().filter(|own| own.model.as_str() == of).map(|own| own.id.clone()).collect()
    }

    fn listed(
        &mut self,
        listed: &[String],
        index: usize,
        raw: &Raw,
        deployments: &[Deployment],
    ) -> Vec<DeploymentId> {
        let mut found: Vec<DeploymentId> = Vec::new();
        for (position, wanted) in listed.iter().enumerate() {
            let path = at!["model", index, "deployments", position];
            let broken = raw.deployment.iter().any(|deployment| deployment.name.as_ref() == Some(wanted));
            match deployments.iter().find(|deployment| deployment.id.as_str() == wanted) {
                Some(deployment) if found.contains(&deployment.id) => {
                    self.document.wrong_at(
                        path,
                        format!("`{wanted}` is listed twice"),
                        "keep one of the two",
                    );
                }
                Some(deployment) => found.push(deployment.id.clone()),
                None if broken => {}
                None => {
                    let message = format!("there is no deployment `{}`", wanted.escape_debug());
                    let hint =
                        did_you_mean(wanted, deployments.iter().map(|deployment| deployment.id.as_str()));
                    self.document.wrong_at(path, message, hint);
                }
            }
        }
        found
    }
}
