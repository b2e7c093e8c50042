//! Ids and names, each with its own type, so that one cannot be passed for another.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the name as it is written.
            #[must_use]
            pub fn new(name: &str) -> Self {
                Self(name.into())
            }

            /// The name as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// One place where one model can be called, by the operator's name for it.
    DeploymentId
);
name_type!(
    /// What is asked for: a model's name in the catalog or an alias of the operator.
    ModelName
);
name_type!(
    /// A named use of AI by a team. Every call belongs to one.
    WorkloadId
);
name_type!(
    /// The id (never the secret) of a caller's key.
    KeyId
);

name_type!(
    /// Who owns state: responses, conversations and items are seen by their own tenant only.
    TenantId
);
name_type!(
    /// A person whose content may have to be erased, by the application's id for them.
    SubjectId
);
name_type!(
    /// The id of a response (`resp_…`).
    ResponseId
);
name_type!(
    /// The id of a conversation (`conv_…`).
    ConversationId
);
name_type!(
    /// The id of an item (`msg_…`, `rs_…`, `fc_…`).
    ItemId
);

/// The id of one call: a UUID of version 7, so ids sort by time. Written `call_` + 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u128);

impl CallId {
    /// Makes an id from a millisecond timestamp (Unix) and 80 random bits, as RFC 9562 lays out version 7.
    #[must_use]
    pub const fn from_parts(unix_ms: u64, random: u128) -> Self {
        let time = ((unix_ms as u128) & 0xffff_ffff_ffff) << 80;
        let rand_a = ((random >> 62) & 0xfff) << 64;
        let rand_b = random & 0x3fff_ffff_ffff_ffff;
        Self(time | (0x7 << 76) | rand_a | (0b10 << 62) | rand_b)
    }

    /// The 128 bits.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// From the 128 bits, as read back from a record.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }
}

/// An id as it is written, without memory of its own: ids stand in several headers of every answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdText<const LENGTH: usize>([u8; LENGTH]);

impl<const LENGTH: usize> IdText<LENGTH> {
    /// `prefix`, then the last digits of `bits` in hexadecimal, as many as there is room for.
    fn new(prefix: &[u8], bits: u128) -> Self {
        let mut text = [b'0'; LENGTH];
        for (slot, byte) in text.iter_mut().zip(prefix) {
            *slot = *byte;
        }
        let mut rest = bits;
        for slot in text.iter_mut().skip(prefix.len()).rev() {
            let digit = (rest & 0xf) as u8;
            *slot = if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
            rest >>= 4;
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl CallId {
    /// As it is written.
    #[must_use]
    pub fn text(self) -> IdText<37> {
        IdText::new(b"call_", self.0)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `call_` and 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a call id: expected `call_` followed by 32 hexadecimal digits")]
pub struct NotACallId;

impl FromStr for CallId {
    type Err = NotACallId;

    fn from_str(text: &str) -> Result<Self, NotACallId> {
        let hex = text.strip_prefix("call_").ok_or(NotACallId)?;
        if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotACallId);
        }
        u128::from_str_radix(hex, 16).map(Self).map_err(|_| NotACallId)
    }
}

/// The id of a placement decision: the first 64 bits of the hash of what was decided. Equal decisions
/// (same terms, same facts, same window, same candidates) have equal ids, so a decision is written once
/// per journal segment and referenced. Written `dec_` + 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecisionId(pub u64);

impl DecisionId {
    /// As it is written.
    #[must_use]
    pub fn text(self) -> IdText<20> {
        IdText::new(b"dec_", self.0.into())
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Counts snapshots of configuration, terms, facts, prices, deployments and keys. Grows by one per swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SnapshotEpoch(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_are_version_7_sort_by_time_and_read_back() {
        let early = CallId::from_parts(1_700_000_000_000, u128::MAX);
        let late = CallId::from_parts(1_700_000_000_001, 0);
        assert!(early < late);
        let uuid = uuid::Uuid::from_u128(early.bits());
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(early.to_string().parse(), Ok(early));
        for bits in [0, 1, 0xabc_def0, u128::MAX / 3, u128::MAX] {
            assert_eq!(CallId::from_bits(bits).text().as_str(), format!("call_{bits:032x}"));
            let short = bits as u64;
            assert_eq!(DecisionId(short).text().as_str(), format!("dec_{short:016x}"));
        }
        for bad in [
            "",
            "call_",
            "call_zz",
            "resp_00000000000000000000000000000000",
            "call_+0000000000000000000000000000000",
        ] {
            assert_eq!(bad.parse::<CallId>(), Err(NotACallId), "{bad}");
        }
    }
}
