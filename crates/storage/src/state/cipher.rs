//! Sealing: AES-256-GCM with a data key per tenant and subject, each wrapped by the master key.
//!
//! What is sealed is bound to its place (associated data), so that a row cannot be passed for another. Erasing a
//! subject destroys its data key: what was sealed with it is then unreadable wherever a copy lies.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{SubjectId, TenantId, state::StateError};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a nonce, in front of what is sealed.
const NONCE: usize = 12;

/// Why a text is no master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the state key must be 32 bytes, as 64 hexadecimal digits or as base64 (`openssl rand -hex 32` makes one)"
)]
pub struct NotAMasterKey;

/// The key that wraps the data keys. Comes from the environment or a file, never from the database.
pub struct MasterKey {
    wrap: RandomizedNonceKey,
    /// For digests of subjects' ids, so that the ids themselves do not stand in the database.
    digests: Zeroizing<[u8; 32]>,
    /// Tells a database of another master key at once.
    check: [u8; 16],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}

impl MasterKey {
    /// Reads a key: 64 hexadecimal digits or base64 of 32 bytes; white space around it does not count.
    ///
    /// # Errors
    /// [`NotAMasterKey`]
    pub fn parse(text: &str) -> Result<Self, NotAMasterKey> {
        let text = text.trim();
        let mut bytes = Zeroizing::new([0_u8; 32]);
        if text.len() == 64 {
            let digits = text.as_bytes().chunks_exact(2);
            for (byte, pair) in bytes.iter_mut().zip(digits) {
                let pair = std::str::from_utf8(pair).map_err(|_| NotAMasterKey)?;
                *byte = u8::from_str_radix(pair, 16).map_err(|_| NotAMasterKey)?;
            }
        } else {
            let mut decoded = STANDARD.decode(text).map_err(|_| NotAMasterKey)?;
            let fits = decoded.len() == bytes.len();
            bytes.iter_mut().zip(&decoded).for_each(|(to, from)| *to = *from);
            decoded.zeroize();
            if !fits {
                return Err(NotAMasterKey);
            }
        }
        Self::new(&bytes)
    }

    fn new(bytes: &[u8; 32]) -> Result<Self, NotAMasterKey> {
        let wrap = blake3::derive_key("cabotage state: wrapping of data keys", bytes);
        let check = blake3::derive_key("cabotage state: check of the master key", bytes);
        let mut short = [0; 16];
        short.iter_mut().zip(check).for_each(|(to, from)| *to = from);
        Ok(Self {
            wrap: RandomizedNonceKey::new(&AES_256_GCM, &wrap).map_err(|_| NotAMasterKey)?,
            digests: Zeroizing::new(blake3::derive_key("cabotage state: digests of subjects", bytes)),
            check: short,
        })
    }

    /// What a database keeps to tell another master key.
    pub(super) const fn check(&self) -> &[u8; 16] {
        &self.check
    }

    /// The digest of a subject's id; empty for none.
    pub(super) fn subject(&self, tenant: &TenantId, subject: Option<&SubjectId>) -> Vec<u8> {
        let Some(subject) = subject else { return Vec::new() };
        let mut hasher = blake3::Hasher::new_keyed(&self.digests);
        hasher.update(&(tenant.as_str().len() as u64).to_le_bytes());
        hasher.update(tenant.as_str().as_bytes());
        hasher.update(subject.as_str().as_bytes());
        hasher.finalize().as_bytes().iter().take(16).copied().collect()
    }

    /// A new data key, and what the database keeps of it.
    pub(super) fn new_data_key(&self, place: &[u8]) -> Result<(RandomizedNonceKey, Vec<u8>), StateError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| broken(&error.to_string()))?;
        let key =
            RandomizedNonceKey::new(&AES_256_GCM, bytes.as_slice()).map_err(|_| broken("no data key"))?;
        Ok((key, seal(&self.wrap, place, bytes.as_slice())?))
    }

    /// A data key from what the database keeps of it.
    pub(super) fn data_key(&self, place: &[u8], wrapped: &[u8]) -> Result<RandomizedNonceKey, StateError> {
        let bytes = Zeroizing::new(open(&self.wrap, place, wrapped.to_vec())?);
        RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| broken("no data key"))
    }
}

/// A data key and its row.
pub(super) struct DataKey {
    pub(super) row: i64,
    pub(super) key: RandomizedNonceKey,
}

impl DataKey {
    /// Seals a body for its place.
    pub(super) fn seal(&self, place: &[u8], body: &str) -> Result<Vec<u8>, StateError> {
        seal(&self.key, place, body.as_bytes())
    }

    /// Opens a body of its place.
    pub(super) fn open(&self, place: &[u8], sealed: Vec<u8>) -> Result<Box<str>, StateError> {
        let plain = open(&self.key, place, sealed)?;
        String::from_utf8(plain)
            .map(String::into_boxed_str)
            .map_err(|_| StateError::Unreadable("a body is not text".into()))
    }
}

fn seal(key: &RandomizedNonceKey, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, StateError> {
    let mut sealed = Vec::with_capacity(plain.len() + 16);
    sealed.extend_from_slice(plain);
    let nonce =
        key.seal_in_place_append_tag(Aad::from(place), &mut sealed).map_err(|_| broken("sealing failed"))?;
    let mut whole = Vec::with_capacity(NONCE + sealed.len());
    whole.extend_from_slice(nonce.as_ref());
    whole.append(&mut sealed);
    Ok(whole)
}

fn open(key: &RandomizedNonceKey, place: &[u8], mut sealed: Vec<u8>) -> Result<Vec<u8>, StateError> {
    let damaged = || StateError::Unreadable("its seal is broken, or it was sealed with another key".into());
    let (nonce, body) = sealed.split_at_mut_checked(NONCE).ok_or_else(damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
    let length = key.open_in_place(nonce, Aad::from(place), body).map_err(|_| damaged())?.len();
    sealed.copy_within(NONCE..NONCE + length, 0);
    sealed.truncate(length);
    Ok(sealed)
}

fn broken(why: &str) -> StateError {
    StateError::Broken(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn keys_are_read_as_hex_and_base64_and_nothing_else() {
        let hex = MasterKey::parse(HEX).unwrap();
        let base64 = MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
        assert_eq!(hex.check(), base64.check());
        for bad in ["", "short", HEX.trim_start_matches('0'), &HEX.replace('f', "g"), "AAECAwQ="] {
            assert!(MasterKey::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{hex:?}"), "MasterKey(hidden)");
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_with_its_key_only() {
        let master = MasterKey::parse(HEX).unwrap();
        let (key, wrapped) = master.new_data_key(b"k1").unwrap();
        let data = DataKey { row: 1, key };
        let sealed = data.seal(b"item a", "hello").unwrap();
        assert!(memchr::memmem::find(&sealed, b"hello").is_none());
        let again = DataKey { row: 1, key: master.data_key(b"k1", &wrapped).unwrap() };
        assert_eq!(&*again.open(b"item a", sealed.clone()).unwrap(), "hello");
        assert!(again.open(b"item b", sealed.clone()).is_err(), "another place");
        assert!(master.data_key(b"k2", &wrapped).is_err(), "another owner's key");
        let mut torn = sealed.clone();
        *torn.last_mut().unwrap() ^= 1;
        assert!(again.open(b"item a", torn).is_err());
        assert!(again.open(b"item a", sealed[..5].to_vec()).is_err());
        let other = MasterKey::parse(&HEX.replace("00", "ff")).unwrap();
        assert!(other.data_key(b"k1", &wrapped).is_err(), "another master");
        assert_ne!(
            data.seal(b"item a", "hello").unwrap(),
            data.seal(b"item a", "hello").unwrap(),
            "a nonce is used once"
        );
    }

    #[test]
    fn subjects_are_digests_apart_by_tenant() {
        let master = MasterKey::parse(HEX).unwrap();
        let of = |tenant: &str, subject: &str| {
            master.subject(&TenantId::new(tenant), Some(&SubjectId::new(subject)))
        };
        assert_eq!(of("a", "ann@example.org"), of("a", "ann@example.org"));
        assert_ne!(of("a", "x"), of("b", "x"));
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert!(master.subject(&TenantId::new("a"), None).is_empty());
    }
}
