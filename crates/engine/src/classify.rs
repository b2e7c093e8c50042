//! Classification on the path of a call: which conversation it is, what its workload is like, and what its class
//! means for its placement.
//!
//! **When.** The signs are read with the envelope and cost nothing more. The conversation is looked for while the
//! provider thinks: after the request's bytes are on their way and before its answer is read, so it adds nothing
//! to what a caller waits. It costs processor time, four to seven times that of the strict pass over the body, so it is
//! switched on by `[classify] discover = true`. Bodies above [`ASIDE`] are read on a thread for such things, above [`DISCOVER_MAX`] not at all.
//!
//! **What is kept.** Hashes with a secret of this process, turn numbers, counters. No content, no session id.

use crate::{
    call::ActiveCall,
    caller::{Caller, Workload},
    deployment::Deployment,
    engine::Engine,
    memo::StandingKey,
    place::Placed,
    shared::Shared,
    snapshot::Snapshot,
};
use domain::{
    AgentMarks, CallClass, Classed, Code, Dialect, Fault, RetryClass, Source, WorkloadId, class::Counts,
};
use placement::{
    Standing,
    classify::{self, Chain, ChainKey, Conversations, Found, Judged, Profile, ProfileReport},
};
use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// Bodies above this many bytes are read for their words on another thread than the data plane's.
pub const ASIDE: usize = 64 * 1024;
/// Bodies above this many bytes are not read for their words.
pub const DISCOVER_MAX: usize = 8 * 1024 * 1024;

/// What classification remembers over calls and snapshots.
#[derive(Debug)]
pub struct Discovery {
    enabled: AtomicBool,
    key: ChainKey,
    conversations: Conversations,
    /// By workload; as many as the configurations of this process named.
    profiles: Mutex<HashMap<WorkloadId, Arc<Profile>>>,
}

impl Discovery {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self {
            enabled: AtomicBool::new(true),
            key: ChainKey::derive(seed),
            conversations: Conversations::default(),
            profiles: Mutex::default(),
        }
    }

    /// Switches the search for conversations on or off. Signs and profiles stay.
    pub(crate) fn enable(&self, enabled: bool) {
        self.enabled.store(enabled, Relaxed);
    }

    /// The counters of a workload, the same over all snapshots.
    pub(crate) fn profile(&self, workload: &WorkloadId) -> Arc<Profile> {
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(profiles.entry(workload.clone()).or_default())
    }

    /// The conversations that are remembered: how many places, and the bytes that they take.
    #[must_use]
    pub fn remembered(&self) -> (usize, usize) {
        (self.conversations.len(), self.conversations.bytes())
    }
}

impl Engine {
    /// Adds what an earlier life of the gateway counted. To be called once, before calls come.
    pub fn seed_profile(&self, workload: &WorkloadId, counts: &Counts) {
        self.shared.discovery.profile(workload).add(counts);
    }

    /// What a workload is like, by its calls so far; `None` for one that is not there.
    #[must_use]
    pub fn profile(&self, workload: &WorkloadId) -> Option<ProfileReport> {
        let snapshot = self.snapshot()?;
        let workload = snapshot.workloads.get(workload)?;
        Some(workload.report())
    }

    /// Narrows a placement to where the call may and can be as everything that it is: permitted under its second
    /// class too, and where a provider holds something that it names, only there.
    ///
    /// # Errors
    /// What is to be told where nothing is left.
    pub(crate) async fn narrow(
        &self,
        caller: &Caller,
        call: &ActiveCall,
        key: &StandingKey,
        placed: &mut Placed,
    ) -> Result<(), Fault> {
        let judged = caller.workload.judged(call);
        if let Some(class) = judged.also {
            let key = StandingKey { class, ..key.clone() };
            let standing = self.standing(&caller.snapshot, key).await?;
            placed.candidates.retain(|deployment| permits(&standing, deployment));
            if placed.candidates.is_empty() {
                placed.decision = standing.decision;
                placed.standing = standing;
                return Err(placed.refused_by_terms(caller));
            }
            placed.also = Some(standing);
        }
        if call.class() == CallClass::Hybrid {
            let what = call.held_things();
            placed
                .candidates
                .retain(|deployment| knows_ids_of(deployment.endpoint.dialect(), call.dialect()));
            if placed.candidates.is_empty() {
                let message = format!(
                    "the call names what a provider holds ({what}), and no permitted deployment speaks the API that it was made with. \
                     Send the content itself, or ask for a model of that provider."
                );
                return Err(Fault::caller(Code::UnsupportedParameter, message));
            }
            // Those that are down count too: what one of them holds is nowhere else.
            let could: Vec<&Arc<Deployment>> = placed
                .standing
                .permitted
                .iter()
                .filter(|seat| seat.can.is_yes())
                .filter_map(|seat| caller.snapshot.deployment(seat.deployment))
                .filter(|deployment| knows_ids_of(deployment.endpoint.dialect(), call.dialect()))
                .filter(|deployment| {
                    placed.also.as_ref().is_none_or(|standing| permits(standing, deployment))
                })
                .collect();
            let holders = holders(could.into_iter());
            if holders.len() > 1 {
                let message = format!(
                    "the call names what one provider holds ({what}), and which of the permitted ones is not known: {}. \
                     Name the deployment (`model@deployment`), or send the content itself.",
                    holders.join(", ")
                );
                return Err(Fault::new(
                    Source::Caller,
                    RetryClass::Stop,
                    Code::UnsupportedParameter,
                    message,
                ));
            }
        }
        Ok(())
    }
}

fn permits(standing: &Standing, deployment: &Deployment) -> bool {
    standing.permitted.iter().any(|seat| seat.id == deployment.id)
}

/// Whether ids that an API of `asked` gave out mean something to a deployment of dialect `there`.
const fn knows_ids_of(there: Dialect, asked: Dialect) -> bool {
    matches!(
        (there, asked),
        (Dialect::OpenAiChat | Dialect::OpenAiResponses, Dialect::OpenAiChat | Dialect::OpenAiResponses)
            | (Dialect::AnthropicMessages, Dialect::AnthropicMessages)
            | (Dialect::Gemini, Dialect::Gemini)
            | (Dialect::BedrockConverse, Dialect::BedrockConverse)
    )
}

/// Who could hold something, each once: what one account at one address keeps, no other knows.
fn holders<'a>(deployments: impl Iterator<Item = &'a Arc<Deployment>>) -> Vec<String> {
    let mut seen: Vec<(String, String)> = Vec::new();
    for deployment in deployments {
        let origin = deployment.endpoint.origin();
        let address = format!("{}:{}", origin.host, origin.port);
        if !seen.iter().any(|(known, _)| *known == address) {
            seen.push((address, deployment.id.to_string()));
        }
    }
    seen.into_iter().map(|(_, name)| name).collect()
}

impl Snapshot {
    /// Where a hybrid call of these deployments could run, in one sentence; for `explain`.
    pub(crate) fn held_at(&self, permitted: impl Iterator<Item = placement::DeploymentIndex>) -> String {
        let deployments: Vec<&Arc<Deployment>> =
            permitted.filter_map(|index| self.deployment(index)).collect();
        match holders(deployments.into_iter()).as_slice() {
            [] => "a hybrid call runs only where the thing that it names is held: at none of the permitted"
                .to_owned(),
            [only] => format!("a hybrid call runs only where the thing that it names is held: {only}"),
            several => format!(
                "a hybrid call runs only where the thing that it names is held. That may be {}: name the deployment (`model@deployment`), or the call is refused",
                several.join(" or ")
            ),
        }
    }
}

impl Workload {
    /// Every class that terms must permit a call as.
    pub(crate) fn judged(&self, call: &ActiveCall) -> Judged {
        let operators = self.class.as_ref().map(|own| own.class);
        call.classification().judged(call.dialect(), operators)
    }

    /// Its profile so far.
    #[must_use]
    pub fn report(&self) -> ProfileReport {
        ProfileReport::of(&self.profile.counts(), self.class.clone())
    }
}

impl ActiveCall {
    /// What the caller's headers tell of an agent.
    #[must_use]
    pub fn from_agent(mut self, agent: AgentMarks) -> Self {
        self.agent = agent;
        self
    }

    /// Looks for the call's conversation, once; later attempts know it. Then everything about its class.
    pub(crate) async fn discover(&self, shared: &Arc<Shared>, workload: &Workload) -> Classed {
        let discovery = &shared.discovery;
        if discovery.enabled.load(Relaxed) && self.found.get().is_none() {
            let now_s = u32::try_from(shared.clock.monotonic().as_secs()).unwrap_or(u32::MAX);
            let _known_meanwhile = self.found.set(self.look(shared, &workload.id, now_s).await);
        }
        self.classed()
    }

    async fn look(&self, shared: &Arc<Shared>, workload: &WorkloadId, now_s: u32) -> Option<Found> {
        let discovery = &shared.discovery;
        let length = self.words_length();
        if length <= ASIDE {
            let mut chain = Chain::new(&discovery.key, workload.as_str());
            self.words(&mut chain);
            return discovery.conversations.place(&chain.end(), now_s);
        }
        if length > DISCOVER_MAX {
            return None;
        }
        let (request, shared, workload) = (self.chat()?.clone(), Arc::clone(shared), workload.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let mut chain = Chain::new(&shared.discovery.key, workload.as_str());
            request.words(&mut chain);
            shared.discovery.conversations.place(&chain.end(), now_s)
        });
        looked.await.ok().flatten()
    }

    /// Everything about its class that is known by now.
    pub(crate) fn classed(&self) -> Classed {
        let mut classification = self.classification();
        classification.signs = classification.signs.with(domain::Sign::AgentSession, self.agent.session);
        let found = self.found.get().copied().flatten();
        classify::classed(classification, self.dialect(), self.agent.agent, found)
    }

    /// Where the things stand that a provider holds.
    fn held_things(&self) -> String {
        let signs = self.classification().signs;
        let held = signs.iter().filter(|sign| sign.class() == CallClass::Hybrid);
        held.map(|sign| sign.place(self.dialect())).collect::<Vec<_>>().join(", ")
    }
}

/// The class and its signs, as a header says it: `stateful; store`.
pub(crate) fn class_header(classed: &Classed) -> String {
    let mut text = classed.class.name().to_owned();
    for sign in classed.signs.iter() {
        let _infallible = write!(text, "; {}", sign.name());
    }
    text
}

/// The conversation with its turn, as a header says it: `cref_…; turn=3; likely`.
pub(crate) fn conversation_header(classed: &Classed) -> String {
    classed.turn.map_or_else(String::new, |turn| {
        format!("{}; turn={}; {}", turn.conversation, turn.turn, classed.certainty.name())
    })
}
