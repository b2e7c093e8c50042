//! How a proof of another provider (Claude's signature of a thought, Gemini's of a call) survives the way through
//! a Responses client: `cbt1:<dialect>:<t or r>:<the proof as it is>`. `r` says that the proof is the whole,
//! encrypted thought. A text of another form is a proof of a Responses host.
//!
//! The blob is not secret and not ours to verify: the provider that made the proof does that.

use super::OWN;
use domain::{Dialect, Signature};

const MARK: &str = "cbt1:";

/// Member of calls and messages that holds a sealed proof; `encrypted_content` is that of thoughts.
pub(super) const MEMBER: &str = "cabotage_proof";

/// A proof for the wire.
pub(super) fn seal(proof: &Signature, redacted: bool) -> String {
    if proof.dialect == OWN {
        return proof.data.to_string();
    }
    format!("{MARK}{}:{}:{}", proof.dialect.name(), if redacted { 'r' } else { 't' }, proof.data)
}

/// A proof from the wire, and whether it is the whole thought; `None` for that where the form does not say.
pub(super) fn unseal(text: String) -> (Signature, Option<bool>) {
    let sealed = text.strip_prefix(MARK).and_then(|rest| {
        let (name, rest) = rest.split_once(':')?;
        let (kind, data) = rest.split_once(':')?;
        let dialect = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)?;
        Some((Signature { dialect, data: data.into() }, Some(kind == "r")))
    });
    sealed.unwrap_or_else(|| (Signature { dialect: OWN, data: text.into() }, None))
}
