//! The chain of hashes over a call's words, by which calls of one conversation know each other.
//!
//! Atoms ([`domain::atom`]) are cut into *runs*: what is said until the model speaks, what the model says, and so on.
//! After each run stands a hash of everything up to there: `h(k) = keyed_blake3(h(k-1), run k)`. A later call of the
//! same conversation has the same beginning, so it has the same hashes there. The key is secret and of this process,
//! and the workload goes in first: nobody can find out from a hash what was said, not even by guessing, and two
//! workloads never have a hash in common.

use domain::atom::{AtomKind, Hears, Voice};

/// The secret of the chain.
#[derive(Clone)]
pub struct ChainKey([u8; 32]);

impl std::fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChainKey")
    }
}

impl ChainKey {
    /// From 256 random bits of the process; they may serve other ends too.
    #[must_use]
    pub fn derive(seed: &[u8; 32]) -> Self {
        Self(blake3::derive_key("cabotage 2026-11 conversation chain", seed))
    }

    /// A name made of hashes and numbers.
    pub(super) fn name(&self, parts: &[&[u8]]) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        parts.iter().for_each(|part| {
            hasher.update(part);
        });
        short(&hasher.finalize())
    }
}

/// Runs that are remembered, the newest: an earlier call further back than this many (half of them are the
/// model's) is not found again.
pub const RUNS_MAX: usize = 64;

/// A run, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Hash of everything up to its end.
    pub(super) hash: u128,
    /// Whether the model speaks in it.
    pub(super) model: bool,
}

/// The chain of one call. Feed it atoms, then [`Chain::end`] it.
#[derive(Clone, Debug)]
pub struct Chain<'k> {
    key: &'k ChainKey,
    open: blake3::Hasher,
    speaking: Option<bool>,
    last: [u8; 32],
    pub(super) runs: Vec<Run>,
}

impl<'k> Chain<'k> {
    /// A chain of a call of this tenant: its workload's name.
    #[must_use]
    pub fn new(key: &'k ChainKey, tenant: &str) -> Self {
        let last = *blake3::keyed_hash(&key.0, tenant.as_bytes()).as_bytes();
        Self { key, open: blake3::Hasher::new_keyed(&key.0), speaking: None, last, runs: Vec::new() }
    }

    /// The last run ends.
    #[must_use]
    pub fn end(mut self) -> Self {
        self.close();
        self
    }

    /// The hashes after each run, oldest first, for tests and figures.
    #[must_use]
    pub fn hashes(&self) -> Vec<u128> {
        self.runs.iter().map(|run| run.hash).collect()
    }

    pub(super) const fn key(&self) -> &'k ChainKey {
        self.key
    }

    fn close(&mut self) {
        let Some(model) = self.speaking.take() else { return };
        let hash = self.open.finalize();
        self.last = *hash.as_bytes();
        if self.runs.len() == RUNS_MAX {
            self.runs.remove(0);
        }
        self.runs.push(Run { hash: short(&hash), model });
    }
}

impl Hears for Chain<'_> {
    fn atom(&mut self, voice: Voice, kind: AtomKind, pieces: &[&str]) {
        let model = voice == Voice::Model;
        if self.speaking != Some(model) {
            self.close();
            self.speaking = Some(model);
            self.open.reset();
            self.open.update(&self.last);
        }
        // Lengths before pieces, so that no two rows of atoms have the same bytes.
        let count = u8::try_from(pieces.len()).unwrap_or(u8::MAX);
        self.open.update(&[voice as u8, kind as u8, count]);
        for piece in pieces {
            self.open.update(&(piece.len() as u64).to_le_bytes());
            self.open.update(piece.as_bytes());
        }
    }
}

/// 128 bits are kept: with the 65,536 entries of the table, two different beginnings meet once in 2^95 look-ups.
fn short(hash: &blake3::Hash) -> u128 {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    // 0 marks an empty place in the table.
    u128::from_le_bytes(bytes).max(1)
}
