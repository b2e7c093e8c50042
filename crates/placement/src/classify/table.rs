//! The beginnings of conversations that were seen: a bounded table of hashes, and how a call finds its own in it.
//!
//! **How a call is found.** Where an earlier call of the conversation ended, the model's answer follows now. So the
//! places to look at are the ends of runs that are not the model's, newest first; there the earlier call left an
//! entry. The run of the model behind it is the answer that this conversation got: the first call that sends
//! it back claims the entry, and its hash is remembered too. That tells two things apart that begin alike: a
//! thousand users who open with "hello" get a thousand conversations, since their answers differ; and a call sent twice
//! is the same turn twice. Which of two *openings* with the same words an answer belongs to cannot be seen from
//! requests; they are handed out in order, the counts are right, and the link is called `possible`.
//!
//! **Bounds.** [`ENTRIES_MAX`] entries of 48 bytes in 64 shards of 8-way sets: 3 MiB, made shard by shard as they
//! are needed, never more. An entry lives [`TTL_S`] after its last use; in a full set the one unused longest goes.
//! At most [`super::RUNS_MAX`] look-ups and 2 insertions a call, each a lock of one shard for some nanoseconds.

use super::chain::{Chain, Run};
use domain::{Certainty, ConversationRef, Link, class::Turn};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries in the whole table.
pub const ENTRIES_MAX: usize = SHARDS * SETS * WAYS;
/// How long an entry lives after its last use, in seconds.
pub const TTL_S: u32 = 3_600;

const SHARDS: usize = 64;
const SETS: usize = 128;
const WAYS: usize = 8;

/// What is remembered of a place in a conversation.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The hash; 0 where nothing is.
    key: u128,
    conversation: u64,
    turn: u32,
    /// Calls that opened with exactly these words, and answers of them that came back.
    opened: u16,
    claimed: u16,
    /// Seconds of the gateway's clock at its last use.
    seen_s: u32,
}

impl Entry {
    const fn is_alive(&self, now_s: u32) -> bool {
        self.key != 0 && now_s.saturating_sub(self.seen_s) <= TTL_S
    }
}

/// A call's place among the calls before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How it stands to them.
    pub link: Link,
    /// Conversation and turn.
    pub turn: Turn,
    /// How sure the link is. `Certain` for a first turn: that nothing like it was seen is a fact.
    pub certainty: Certainty,
    /// Whether the model's own words stand in the call.
    pub history: bool,
}

/// The table.
pub struct Conversations {
    shards: [Mutex<Vec<Entry>>; SHARDS],
}

impl Default for Conversations {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(Vec::new())) }
    }
}

impl std::fmt::Debug for Conversations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Conversations")
    }
}

impl Conversations {
    /// Finds the conversation of a call and remembers where it stands now. `None` for a call without words.
    pub fn place(&self, chain: &Chain<'_>, now_s: u32) -> Option<Found> {
        let runs = chain.runs.as_slice();
        let whole = runs.last()?.hash;
        let found = self.continued(chain, now_s);
        let found = match found {
            Some(found) => {
                self.end(whole, now_s, found.turn, false);
                found
            }
            None => {
                let first = Turn { conversation: named(chain, whole, 0), turn: 1 };
                let opened = self.end(whole, now_s, first, true);
                let turn = match opened {
                    0 => first,
                    nth => Turn { conversation: named(chain, whole, nth), turn: 1 },
                };
                let history = runs.iter().any(|run| run.model);
                Found { link: Link::First, turn, certainty: Certainty::Certain, history }
            }
        };
        Some(found)
    }

    /// Looks for an earlier call, newest first: an answer that was sent back before, else a call whose answer
    /// comes back for the first time.
    fn continued(&self, chain: &Chain<'_>, now_s: u32) -> Option<Found> {
        for pair in chain.runs.windows(2).rev() {
            let [asked, answered] = pair else { continue };
            let (Run { model: false, hash: asked }, Run { model: true, hash: answered }) = (asked, answered)
            else {
                continue;
            };
            if let Some(known) = self.touch(*answered, now_s, |entry| (entry.conversation, entry.turn)) {
                let turn = Turn { conversation: ConversationRef(known.0), turn: known.1 };
                // The model's own words were seen before, in this place.
                return Some(Found {
                    link: Link::Further,
                    turn,
                    certainty: Certainty::Certain,
                    history: true,
                });
            }
            let claim = self.touch(*asked, now_s, |entry| {
                let nth = entry.claimed;
                entry.claimed = nth.saturating_add(1);
                (entry.conversation, entry.turn, nth, entry.opened)
            });
            if let Some((conversation, turn, nth, opened)) = claim {
                let conversation =
                    if nth == 0 { ConversationRef(conversation) } else { named(chain, *asked, nth) };
                let turn = Turn { conversation, turn: turn.saturating_add(1) };
                self.end(*answered, now_s, turn, false);
                let alone = nth == 0 && opened <= 1;
                return Some(Found {
                    link: if turn.turn == 2 { Link::Second } else { Link::Further },
                    turn,
                    certainty: if alone { Certainty::Likely } else { Certainty::Possible },
                    history: true,
                });
            }
        }
        None
    }

    /// Uses an entry, where there is a living one.
    fn touch<T>(&self, key: u128, now_s: u32, with: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut shard = self.shard(key)?;
        let entry =
            set(&mut shard, key)?.iter_mut().find(|entry| entry.key == key && entry.is_alive(now_s))?;
        entry.seen_s = now_s;
        Some(with(entry))
    }

    /// Remembers that a call (or an answer) ended here. Where `opens`, returns how many calls opened with the same
    /// words before.
    fn end(&self, key: u128, now_s: u32, turn: Turn, opens: bool) -> u16 {
        let Some(mut shard) = self.shard(key) else { return 0 };
        if shard.is_empty() {
            shard.resize(SETS * WAYS, Entry::default());
        }
        let Some(ways) = set(&mut shard, key) else { return 0 };
        if let Some(entry) = ways.iter_mut().find(|entry| entry.key == key && entry.is_alive(now_s)) {
            entry.seen_s = now_s;
            let before = entry.opened;
            entry.opened = before.saturating_add(u16::from(opens));
            return before;
        }
        let oldest = ways.iter_mut().min_by_key(|entry| (entry.is_alive(now_s), entry.seen_s));
        if let Some(oldest) = oldest {
            *oldest = Entry {
                key,
                conversation: turn.conversation.0,
                turn: turn.turn,
                opened: u16::from(opens),
                claimed: 0,
                seen_s: now_s,
            };
        }
        0
    }

    fn shard(&self, key: u128) -> Option<MutexGuard<'_, Vec<Entry>>> {
        let shard = self.shards.get(key as usize % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Entries that are in use or waiting to be used again: for metrics and tests.
    #[must_use]
    pub fn len(&self) -> usize {
        let full = |shard: &Mutex<Vec<Entry>>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.iter().filter(|entry| entry.key != 0).count()
        };
        self.shards.iter().map(full).sum()
    }

    /// True where nothing has been seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the table holds now; at most 48 × [`ENTRIES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        let held = |shard: &Mutex<Vec<Entry>>| {
            shard.lock().unwrap_or_else(PoisonError::into_inner).capacity() * size_of::<Entry>()
        };
        self.shards.iter().map(held).sum()
    }
}

/// The ways where a key may stand: shards by its lowest bits, sets by those above.
fn set(shard: &mut [Entry], key: u128) -> Option<&mut [Entry]> {
    let from = (key as usize / SHARDS % SETS) * WAYS;
    shard.get_mut(from..from + WAYS)
}

/// The name of the conversation that the `nth` call with this beginning opened.
fn named(chain: &Chain<'_>, hash: u128, nth: u16) -> ConversationRef {
    let name = chain.key().name(&[b"conversation", &hash.to_le_bytes(), &nth.to_le_bytes()]);
    ConversationRef(name as u64)
}
