//! What a workload is really like, learnt from its calls: counts per class, where state lives, agents,
//! conversations; and from these a verdict, beside which the operator's own word stands with its reason.
//!
//! A profile informs. It changes nothing that terms permit: what changes it is the operator's `class` (see the head of
//! [`super`]).

use crate::instant;
use domain::{
    Agent, CallClass, Certainty, Classed, Keeper,
    class::{AGENTS_MAX, Counts},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

/// The counts of a workload while the gateway runs: written by every call without a lock.
#[derive(Debug, Default)]
pub struct Profile {
    classes: [AtomicU64; 3],
    keepers: [AtomicU64; 5],
    agents: [AtomicU64; AGENTS_MAX],
    looked: AtomicU64,
    continued: AtomicU64,
    conversations: AtomicU64,
    turns_max: AtomicU64,
    first_us: AtomicI64,
    last_us: AtomicI64,
}

impl Profile {
    /// Counts one call.
    pub fn note(&self, call: &Classed, at_us: i64) {
        self.add(&Counts::of(call, at_us));
    }

    /// Takes counts in: of one call, or of an earlier life of the gateway.
    pub fn add(&self, counts: &Counts) {
        let plus = |to: &[AtomicU64], from: &[u64]| {
            for (to, from) in to.iter().zip(from) {
                // Most are 0: a line of the cache that nobody writes stays where it is.
                if *from > 0 {
                    to.fetch_add(*from, Relaxed);
                }
            }
        };
        plus(&self.classes, &counts.classes);
        plus(&self.keepers, &counts.keepers);
        plus(&self.agents, &counts.agents);
        for (to, from) in [
            (&self.looked, counts.looked),
            (&self.continued, counts.continued),
            (&self.conversations, counts.conversations),
        ] {
            if from > 0 {
                to.fetch_add(from, Relaxed);
            }
        }
        if counts.turns_max > self.turns_max.load(Relaxed) {
            self.turns_max.fetch_max(counts.turns_max, Relaxed);
        }
        let first = self.first_us.load(Relaxed);
        if counts.first_us != 0 && (first == 0 || counts.first_us < first) {
            self.first_us.store(counts.first_us, Relaxed);
        }
        self.last_us.fetch_max(counts.last_us, Relaxed);
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let read = |to: &mut [u64], from: &[AtomicU64]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from.load(Relaxed));
        };
        read(&mut counts.classes, &self.classes);
        read(&mut counts.keepers, &self.keepers);
        read(&mut counts.agents, &self.agents);
        counts.looked = self.looked.load(Relaxed);
        counts.continued = self.continued.load(Relaxed);
        counts.conversations = self.conversations.load(Relaxed);
        counts.turns_max = self.turns_max.load(Relaxed);
        counts.first_us = self.first_us.load(Relaxed);
        counts.last_us = self.last_us.load(Relaxed);
        counts
    }
}

/// The operator's own word on a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Override {
    /// As what its calls are judged, beside what a call itself says of the provider.
    pub class: CallClass,
    /// Why. Never empty.
    pub reason: Arc<str>,
}

/// What a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing has been seen.
    Unknown,
    /// Each call stands for itself.
    Stateless,
    /// Self-contained calls that are conversations: stateful in truth, and the provider keeps nothing.
    ReallyStateful,
    /// The provider keeps state.
    Stateful,
    /// Some of each.
    Mixed,
}

/// An agent and its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AgentCount {
    /// Which.
    pub agent: Agent,
    /// How many calls.
    pub calls: u64,
}

/// A workload's profile, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct ProfileReport {
    /// Calls that were counted.
    pub calls: u64,
    /// Calls per class.
    pub classes: BTreeMap<&'static str, u64>,
    /// Calls per place of state.
    pub state_lives: BTreeMap<&'static str, u64>,
    /// What it is.
    pub verdict: Verdict,
    /// How sure that is: by the number of calls.
    pub certainty: Certainty,
    /// Where state lives, of most calls that have any.
    pub lives: Keeper,
    /// One sentence.
    pub says: String,
    /// Calls whose conversation was looked for.
    pub looked: u64,
    /// Calls that continue an earlier one.
    pub continued: u64,
    /// Conversations of two calls or more.
    pub conversations: u64,
    /// Calls per conversation, in hundredths: whole numbers compare exactly.
    pub turns_mean_hundredths: u64,
    /// The longest.
    pub turns_max: u64,
    /// Agents, the busiest first.
    pub agents: Vec<AgentCount>,
    /// First call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    /// Last call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// The operator's word.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub by_operator: Option<Override>,
}

/// Below this many calls a verdict is only possible; from ten times as many on it is certain.
const FEW: u64 = 20;

impl ProfileReport {
    /// Makes the report of counts.
    #[must_use]
    pub fn of(counts: &Counts, by_operator: Option<Override>) -> Self {
        let calls = counts.calls();
        let [_, stateful, hybrid] = counts.classes;
        let together = counts.in_conversations();
        let kept = percent(stateful.saturating_add(hybrid), calls);
        let talks = percent(together, counts.looked);
        let verdict = match (calls, kept, talks) {
            (0, ..) => Verdict::Unknown,
            (_, 50.., _) => Verdict::Stateful,
            (_, _, 50..) => Verdict::ReallyStateful,
            (_, 10.., _) | (_, _, 10..) => Verdict::Mixed,
            _ => Verdict::Stateless,
        };
        let lives = match verdict {
            Verdict::Unknown | Verdict::Stateless => Keeper::Nobody,
            _ => counts
                .keepers
                .iter()
                .zip(Keeper::ALL)
                .skip(1)
                .max_by_key(|(calls, _)| **calls)
                .map_or(Keeper::Nobody, |(_, keeper)| keeper),
        };
        let certainty = match calls {
            calls if calls < FEW => Certainty::Possible,
            calls if calls < 10 * FEW => Certainty::Likely,
            _ => Certainty::Certain,
        };
        let opened = counts.conversations;
        let agents = Agent::ALL.iter().filter_map(|agent| {
            let calls = counts.agents.get(usize::from(agent.number())).copied().unwrap_or_default();
            (calls > 0).then_some(AgentCount { agent: *agent, calls })
        });
        let mut agents: Vec<AgentCount> = agents.collect();
        agents.sort_by_key(|one| std::cmp::Reverse(one.calls));
        let when =
            |us: i64| (us != 0).then(|| Timestamp::from_microsecond(us).ok().map(instant::format)).flatten();
        Self {
            calls,
            classes: CallClass::ALL.iter().map(|class| class.name()).zip(counts.classes).collect(),
            state_lives: Keeper::ALL.iter().map(|keeper| keeper.name()).zip(counts.keepers).collect(),
            verdict,
            certainty,
            lives,
            says: says(verdict, kept, talks, counts, lives),
            looked: counts.looked,
            continued: counts.continued,
            conversations: opened,
            turns_mean_hundredths: together.saturating_mul(100).checked_div(opened).unwrap_or(0),
            turns_max: counts.turns_max,
            agents,
            first_seen: when(counts.first_us),
            last_seen: when(counts.last_us),
            by_operator,
        }
    }
}

fn says(verdict: Verdict, kept: u64, talks: u64, counts: &Counts, lives: Keeper) -> String {
    let place = lives.says();
    let not_looked =
        if counts.looked == 0 && counts.calls() > 0 { " (conversations were not looked for)" } else { "" };
    match verdict {
        Verdict::Unknown => "no calls yet".to_owned(),
        Verdict::Stateless => {
            format!(
                "stateless: {talks} % of calls belong to a conversation, {kept} % name something at the provider{not_looked}"
            )
        }
        Verdict::ReallyStateful => {
            format!("really stateful: {talks} % of calls belong to a conversation; state lives {place}")
        }
        Verdict::Stateful => {
            format!(
                "stateful: {kept} % of calls lean on something that the provider keeps; state lives {place}"
            )
        }
        Verdict::Mixed => format!(
            "mixed: {talks} % of calls belong to a conversation, {kept} % name something at the provider; state lives {place}{not_looked}"
        ),
    }
}

/// Whole per cent, rounded down, so that "100 %" means all.
const fn percent(part: u64, of: u64) -> u64 {
    match of {
        0 => 0,
        of => part.saturating_mul(100) / of,
    }
}
