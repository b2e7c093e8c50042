//! Deployments: the provider's own checks, the secret, stated facts, capabilities, price.

use super::{Check, reach::Reached};
use crate::{
    checked::{CapabilityChanges, Deployment, SecretOrigin},
    document::{Step, at, did_you_mean},
    raw::{self, Raw},
};
use domain::{DeploymentId, ModelName, ReasoningControl, SecretNeed};
use placement::{Attribute, FactBook, facts::Stated};
use providers::{AuthMethod, Descriptor, Endpoint, Reach, Written, registry};
use std::collections::BTreeMap;

/// Most deployments of one gateway. A fleet has room for more; a file with more is a mistake.
const MAX_DEPLOYMENTS: usize = 4_096;

impl Check<'_> {
    pub(super) fn deployments(&mut self, raw: &Raw) -> Vec<Deployment> {
        let base = self.reach(&raw.upstream, &Reached::default(), at!["upstream"]);
        if raw.deployment.is_empty() && !self.document.mentions("deployment") {
            let hint = "add at least: [[deployment]] with provider, model and api_key";
            self.document.wrong_at(
                at!["deployment"],
                "there is no deployment: nothing could be called",
                hint,
            );
        }
        if raw.deployment.len() > MAX_DEPLOYMENTS {
            let message = format!("there are more than {MAX_DEPLOYMENTS} deployments");
            self.document.wrong_at(at!["deployment"], message, "split them over several gateways");
            return Vec::new();
        }
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut all = Vec::with_capacity(raw.deployment.len());
        for (index, written) in raw.deployment.iter().enumerate() {
            let name = written
                .name
                .clone()
                .unwrap_or_else(|| format!("{}/{}", written.provider.provider, written.provider.model));
            self.name(&name, "deployment", index);
            let whole = !written.provider.provider.is_empty() && !written.provider.model.is_empty();
            if let Some(first) = names.get(&name)
                && (written.name.is_some() || whole)
            {
                let line = self.document.line(at!["deployment", *first]);
                let message = format!("two deployments are called `{name}`");
                let hint = format!("the first is at line {line}; give each its own `name`");
                self.document.wrong_at(at!["deployment", index, "name"], message, hint);
            }
            names.entry(name.clone()).or_insert(index);
            let reached = self.reach(&written.reach, &base, at!["deployment", index]);
            // What is missing was said by the check of shape.
            if whole && let Some(deployment) = self.deployment(written, index, &name, reached) {
                all.push(deployment);
            }
        }
        all
    }

    /// A rule about a model family does not see a deployment whose family nobody states.
    pub(super) fn note_families(&mut self, deployments: &[Deployment], facts: Option<&FactBook>) {
        let Some(facts) = facts else { return };
        for deployment in deployments {
            let spec = placement::DeploymentSpec {
                id: deployment.id.clone(),
                provider: deployment.endpoint.provider().descriptor().id.into(),
                model: deployment.model.clone(),
                stated: deployment.stated.clone(),
            };
            if !facts.states(Attribute::Family, &spec) {
                let message = format!(
                    "nobody states the family of `{}` ({}): rules about a family do not see it",
                    deployment.model, deployment.id
                );
                let hint =
                    "state it at the deployment: facts = { family = \"…\" } (`other` where it has none)";
                self.document.note_at(at!["deployment"], message, hint);
            }
        }
    }

    /// Names stand in records, headers and `model@deployment`.
    pub(super) fn name(&mut self, name: &str, list: &'static str, index: usize) {
        let plain =
            name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'@' | b',' | b'=' | b';' | b'"'));
        if name.is_empty() || name.len() > 128 || !plain {
            let message = format!("`{}` is not a name", name.escape_debug());
            let hint = "1 to 128 letters, digits and signs, without blanks and without @ , = ; \"";
            let key = if list == "key" { "id" } else { "name" };
            self.document.wrong_at(at![list, index, key], message, hint);
        }
    }

    fn deployment(
        &mut self,
        raw: &raw::Deployment,
        index: usize,
        name: &str,
        reached: Reached,
    ) -> Option<Deployment> {
        let Some(provider) = registry::provider(&raw.provider.provider) else {
            let ids = registry::providers().map(|provider| provider.descriptor().id);
            let message = format!("`{}` is not a provider", raw.provider.provider.escape_debug());
            let hint = did_you_mean(&raw.provider.provider, ids);
            let hint = format!(
                "{} Any other host with an OpenAI-style API is `openai-compatible` with an `endpoint`",
                ended(&hint)
            );
            self.document.wrong_at(at!["deployment", index, "provider"], message, hint);
            return None;
        };
        let descriptor = provider.descriptor();
        let written = self.with_auth(raw, descriptor, index)?;
        let endpoint = match provider.check(&written) {
            Ok(endpoint) => endpoint,
            Err(errors) => {
                for error in errors {
                    let message = format!("`{}` {}", error.field, error.message);
                    self.document.wrong_at(at!["deployment", index, error.field], message, error.hint);
                }
                // Its facts may be wrong as well.
                self.stated(raw, None, index);
                self.price(raw.price.as_ref(), index);
                return None;
            }
        };
        self.note_region(&written, descriptor, index);
        let stated = self.stated(raw, Some(&endpoint), index);
        let price = self.price(raw.price.as_ref(), index);
        let secret = self.secret_origin(raw, &endpoint, descriptor, index)?;
        Some(Deployment {
            id: DeploymentId::new(name),
            model: ModelName::new(&raw.provider.model),
            endpoint,
            secret,
            stated,
            capabilities: changes(&raw.capabilities),
            price,
            timeouts: reached.timeouts,
            connect_timeout: reached.connect_timeout,
            order: raw.order.unwrap_or(100),
            concurrency: reached.concurrency,
            proxy: reached.proxy,
            tls: reached.tls,
        })
    }

    /// The provider's fields with the auth method that fits the secret, where none is written.
    fn with_auth(&mut self, raw: &raw::Deployment, descriptor: &Descriptor, index: usize) -> Option<Written> {
        let mut written = raw.provider.clone();
        if written.auth.is_some() {
            return Some(written);
        }
        let fitting = match &raw.api_key {
            None => return Some(written),
            Some(raw::Secret::Identity(_)) => descriptor.auths.iter().find(|auth| is_identity(**auth)),
            Some(_) => descriptor.auths.iter().find(|auth| is_key(**auth)),
        };
        if let Some(auth) = fitting {
            written.auth = Some(*auth);
            return Some(written);
        }
        let known: Vec<&str> = descriptor.auths.iter().map(|auth| auth.name()).collect();
        let message = format!("{} does not take this kind of secret", descriptor.name);
        let hint = format!("it knows: {}", known.join(", "));
        self.document.wrong_at(at!["deployment", index, "api_key"], message, hint);
        None
    }

    fn secret_origin(
        &mut self,
        raw: &raw::Deployment,
        endpoint: &Endpoint,
        descriptor: &Descriptor,
        index: usize,
    ) -> Option<SecretOrigin> {
        let path = at!["deployment", index, "api_key"];
        let is_identity = matches!(raw.api_key, Some(raw::Secret::Identity(_)));
        match endpoint.secret_need() {
            SecretNeed::None if raw.api_key.is_none() => Some(SecretOrigin::None),
            SecretNeed::None => {
                self.document.wrong_at(
                    path,
                    "`api_key` is written and `auth` says that none is needed",
                    "keep one",
                );
                None
            }
            SecretNeed::Key if is_identity => {
                self.document.wrong_at(
                    path,
                    "`auth` wants a key, not an identity",
                    "leave `auth` out, or name a key",
                );
                None
            }
            SecretNeed::Key => match &raw.api_key {
                Some(written) => self.secret(written, path).map(SecretOrigin::Key),
                None => self.usual_key(descriptor, index),
            },
            _ if raw.api_key.is_none() || is_identity => Some(SecretOrigin::Identity),
            _ => {
                self.document.wrong_at(
                    path,
                    "`auth` wants an identity, not a key",
                    "write \"identity\" or leave it out",
                );
                None
            }
        }
    }

    /// The key in the provider's usual environment variable.
    fn usual_key(&mut self, descriptor: &Descriptor, index: usize) -> Option<SecretOrigin> {
        for name in descriptor.env_keys {
            if self.around.variable(name).is_some() {
                let env = raw::Secret::Env { env: (*name).to_owned() };
                return self.secret(&env, at!["deployment", index]).map(SecretOrigin::Key);
            }
        }
        let hint = match descriptor.env_keys.first() {
            Some(name) => format!("export {name}=…, or write api_key = {{ env = \"NAME\" }}"),
            None if descriptor.auths.contains(&AuthMethod::None) => {
                "write api_key = { env = \"NAME\" }, or auth = \"none\" where the host asks for no key"
                    .to_owned()
            }
            None => "write api_key = { env = \"NAME\" }".to_owned(),
        };
        let message = format!("{} needs a key and none is given", descriptor.name);
        self.document.wrong_at(at!["deployment", index], message, hint);
        None
    }

    /// What the operator states about placement: his `facts`, and what the endpoint's own form says.
    fn stated(&mut self, raw: &raw::Deployment, endpoint: Option<&Endpoint>, index: usize) -> Vec<Stated> {
        let mut stated = self.facts_of(&raw.facts, at!["deployment", index, "facts"]);
        let Some(endpoint) = endpoint else { return stated };
        let tier = match endpoint.reach() {
            Reach::Region => Some("regional"),
            Reach::Zone(_) => Some("geo"),
            Reach::Global => Some("global"),
            Reach::Unknown => None,
        };
        let source = self.document.source(at!["deployment", index]);
        for (attribute, word) in [(Attribute::Region, endpoint.region()), (Attribute::GeoTier, tier)] {
            let silent = !stated.iter().any(|fact| fact.attribute == attribute);
            if let Some(word) = word.filter(|_| silent) {
                stated.extend(Stated::new(attribute, &[word], &source));
            }
        }
        stated
    }

    /// Facts as written, at `path`.
    pub(super) fn facts_of(
        &mut self,
        written: &BTreeMap<String, raw::OneOrMany>,
        path: &[Step<'_>],
    ) -> Vec<Stated> {
        let mut stated = Vec::new();
        for (name, words) in written {
            let Some(attribute) = Attribute::facts().find(|attribute| attribute.name() == name) else {
                continue;
            };
            let mut path = path.to_vec();
            path.push(Step::Key(name));
            match Stated::new(attribute, &words.words(), &self.document.source(&path)) {
                Ok(fact) => stated.push(fact),
                Err(message) => self.document.wrong_at(&path, message, ""),
            }
        }
        stated
    }

    fn note_region(&mut self, written: &Written, descriptor: &Descriptor, index: usize) {
        for (field, value) in [("region", &written.region), ("location", &written.location)] {
            let Some(value) = value.as_deref() else { continue };
            if descriptor.regions.is_empty() || descriptor.regions.contains(&value) {
                continue;
            }
            let Some(near) = placement::problem::nearest(value, descriptor.regions.iter().copied()) else {
                continue;
            };
            let message = format!("`{value}` is not among the regions that we know of {}", descriptor.name);
            self.document.note_at(
                at!["deployment", index, field],
                message,
                format!("did you mean `{near}`?"),
            );
        }
    }

    fn price(&mut self, written: Option<&raw::Price>, index: usize) -> Option<ledger::Rates> {
        let written = written?;
        let mut one = |value: Option<f64>, name: &'static str| {
            let rate = per_token(value?);
            if rate.is_none() {
                let hint = "US dollars per million tokens, from 0 to 1000000";
                self.document.wrong_at(
                    at!["deployment", index, "price", name],
                    format!("`price.{name}` is not a price"),
                    hint,
                );
            }
            rate
        };
        let [cache_read, cache_write, reasoning] = [
            one(written.cache_read, "cache_read"),
            one(written.cache_write, "cache_write"),
            one(written.reasoning, "reasoning"),
        ];
        let [input, output] = [one(written.input, "input"), one(written.output, "output")];
        Some(ledger::Rates {
            input: input?,
            output: output?,
            cache_read,
            cache_write,
            reasoning,
            ..ledger::Rates::default()
        })
    }
}

/// The sentence with its full stop.
fn ended(sentence: &str) -> String {
    if sentence.ends_with('?') { sentence.to_owned() } else { format!("{sentence}.") }
}

/// US dollars per million tokens → pico-dollars per token.
fn per_token(usd_per_million: f64) -> Option<u64> {
    if !usd_per_million.is_finite() || !(0.0..=1_000_000.0).contains(&usd_per_million) {
        return None;
    }
    // At most 10¹², so the cast is exact.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
    Some((usd_per_million * 1e6).round() as u64)
}

const fn is_identity(auth: AuthMethod) -> bool {
    matches!(auth, AuthMethod::Entra | AuthMethod::Adc | AuthMethod::Sigv4)
}

const fn is_key(auth: AuthMethod) -> bool {
    matches!(auth, AuthMethod::Key | AuthMethod::Bearer)
}

fn changes(raw: &raw::Capabilities) -> CapabilityChanges {
    CapabilityChanges {
        flags: [
            raw.tools,
            raw.parallel_tools,
            raw.forced_tools,
            raw.vision,
            raw.documents,
            raw.json_schema,
            raw.logprobs,
            raw.sampling,
            raw.candidates,
            raw.prefill,
        ],
        reasoning: raw.reasoning.map(|control| match control {
            raw::Reasoning::None => ReasoningControl::None,
            raw::Reasoning::Effort => ReasoningControl::Effort,
            raw::Reasoning::Budget => ReasoningControl::Budget,
            raw::Reasoning::Adaptive => ReasoningControl::Adaptive,
        }),
        context_tokens: raw.context_tokens,
        max_output_tokens: raw.max_output_tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_become_whole_numbers() {
        assert_eq!(per_token(2.5), Some(2_500_000));
        assert_eq!(per_token(0.075), Some(75_000));
        assert_eq!(per_token(0.0), Some(0));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e7] {
            assert_eq!(per_token(bad), None, "{bad}");
        }
    }
}
