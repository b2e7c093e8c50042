//! Approvals: a second person signs the content of a pack, and whoever changes a byte of it afterwards has a
//! draft again.
//!
//! An approval names the pack's content hash, who approves, whose pack it is and when, and carries an Ed25519
//! signature over exactly that ([`Approval::message`]). Whose key is whose stands in the configuration. Pure:
//! keys are made of bytes that the caller provides.

use crate::{
    instant,
    problem::Problems,
    reader::{Fields, Reader},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use jiff::Timestamp;
use std::{fmt, sync::Arc};

/// What stands before a public key in text.
const PUBLIC: &str = "ed25519:";
/// What stands before a secret key in text.
const SECRET: &str = "cabotage-secret-ed25519:";
/// At most this many approvals in a file.
pub const MAX_APPROVALS: usize = 10_000;

/// The content hash of a pack: `blake3:` and 64 hex digits. Of the file's bytes; where raw policies stand beside
/// it, of the file's bytes, one zero byte, and theirs.
#[must_use]
pub fn content_hash(pack: &str, cedar: Option<&str>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(pack.as_bytes());
    if let Some(cedar) = cedar {
        hasher.update(&[0]);
        hasher.update(cedar.as_bytes());
    }
    format!("blake3:{}", hasher.finalize().to_hex())
}

/// A public key of an approver: `ed25519:` and 32 bytes in base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a key.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = thirty_two(text, PUBLIC)?;
        let key =
            VerifyingKey::from_bytes(&bytes).map_err(|_| "these bytes are no Ed25519 key".to_owned())?;
        if key.is_weak() {
            return Err("this key is weak: everybody could sign with it".to_owned());
        }
        Ok(Self(key))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", STANDARD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A secret key of an approver. Never shows itself but by [`SigningKey::to_text`].
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of 32 random bytes, which the caller asks of the system.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Reads a key as [`SigningKey::to_text`] writes it; blanks around it are dropped.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text, and never shows it.
    pub fn parse(text: &str) -> Result<Self, String> {
        thirty_two(text, SECRET).map(Self::from_seed)
    }

    /// The key as one line of text. Secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{SECRET}{}\n", STANDARD.encode(self.0.as_bytes()))
    }

    /// The public key to it: what the configuration lists.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

fn thirty_two(text: &str, prefix: &str) -> Result<[u8; 32], String> {
    let encoded = text.trim().strip_prefix(prefix).ok_or_else(|| format!("a key begins with `{prefix}`"))?;
    let bytes = STANDARD.decode(encoded).map_err(|_| format!("what follows `{prefix}` is not base64"))?;
    <[u8; 32]>::try_from(bytes).map_err(|bytes| format!("a key has 32 bytes, this has {}", bytes.len()))
}

/// Somebody who may approve packs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// His name, as approvals say it.
    pub name: Arc<str>,
    /// His key.
    pub key: PublicKey,
}

/// What is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// The pack's id.
    pub pack: &'a str,
    /// Its content hash.
    pub hash: &'a str,
    /// Who approves.
    pub by: &'a str,
    /// Whose pack it is: its author.
    pub of: &'a str,
    /// When.
    pub at: Timestamp,
}

/// A pack's content, approved by a second person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The pack's id.
    pub pack: Arc<str>,
    /// Its content hash, as [`content_hash`] writes it.
    pub hash: Arc<str>,
    /// Who approves.
    pub by: Arc<str>,
    /// Whose pack it is.
    pub of: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// Ed25519 over [`Approval::message`].
    pub signature: [u8; 64],
    /// The file of the row; empty for one that was just signed.
    pub file: Arc<str>,
    /// The line of the row.
    pub line: u32,
}

impl Approval {
    /// The text that is signed.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { pack, hash, by, of, at, .. } = self;
        let at = instant::format(*at);
        format!("cabotage approval v1\npack: {pack}\nhash: {hash}\nby: {by}\nof: {of}\nat: {at}\n")
    }

    /// The row, to be appended to `approvals.toml`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        format!(
            "[[approval]]\npack = {}\nhash = {}\nby = {}\nof = {}\nat = {}\nsignature = {}\n",
            quoted(&self.pack),
            quoted(&self.hash),
            quoted(&self.by),
            quoted(&self.of),
            instant::format(self.at),
            quoted(&STANDARD.encode(self.signature)),
        )
    }
}

/// Why an approval counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nobody of this name is listed.
    #[error("`{0}` is not among the approvers of the configuration")]
    UnknownApprover(Arc<str>),
    /// One person is author and approver.
    #[error("`{0}` approves his own pack")]
    SamePerson(Arc<str>),
    /// Another key, or another text.
    #[error("the signature is not that of `{0}` over this approval")]
    BadSignature(Arc<str>),
}

/// Signs a pack's content.
///
/// # Errors
/// A sentence, where author and approver are one person, a name holds a line break, or the hash is none.
pub fn sign(draft: &Draft<'_>, key: &SigningKey) -> Result<Approval, String> {
    if super::same_person(draft.by, draft.of) {
        return Err(format!("`{}` wrote the pack; a second person must approve it", draft.of));
    }
    for (what, text) in [("pack", draft.pack), ("by", draft.by), ("of", draft.of)] {
        if text.trim() != text || text.is_empty() || text.chars().any(char::is_control) {
            return Err(format!("`{what}` must be one line without blanks at its ends"));
        }
    }
    if !is_hash(draft.hash) {
        return Err("a content hash is `blake3:` and 64 hex digits".to_owned());
    }
    // Texts and instants are kept to the millisecond; what is signed must be what is read again.
    let at = Timestamp::from_millisecond(draft.at.as_millisecond()).map_err(|error| error.to_string())?;
    let mut approval = Approval {
        pack: draft.pack.into(),
        hash: draft.hash.into(),
        by: draft.by.into(),
        of: draft.of.into(),
        at,
        signature: [0; 64],
        file: "".into(),
        line: 0,
    };
    approval.signature = key.0.sign(approval.message().as_bytes()).to_bytes();
    Ok(approval)
}

/// Whether an approval is what it says: by a listed approver, who is not the author, with his signature.
///
/// # Errors
/// Why it counts for nothing.
pub fn verify(approval: &Approval, approvers: &[Approver]) -> Result<(), Invalid> {
    let Some(approver) = approvers.iter().find(|approver| approver.name == approval.by) else {
        return Err(Invalid::UnknownApprover(Arc::clone(&approval.by)));
    };
    if super::same_person(&approval.by, &approval.of) {
        return Err(Invalid::SamePerson(Arc::clone(&approval.by)));
    }
    let signature = Signature::from_bytes(&approval.signature);
    approver
        .key
        .0
        .verify_strict(approval.message().as_bytes(), &signature)
        .map_err(|_| Invalid::BadSignature(Arc::clone(&approval.by)))
}

fn is_hash(text: &str) -> bool {
    text.strip_prefix("blake3:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// Reads a file of approvals. Whether their signatures are good is another question: [`verify`].
#[must_use]
pub fn read(file: &str, text: &str) -> (Vec<Approval>, Problems) {
    let mut reader = Reader::new(file, text);
    let root = reader.parse();
    let mut fields = Fields::new(root.get_ref(), root.span(), "a file of approvals");
    let mut approvals = Vec::new();
    if let Some(list) = fields.take("approval") {
        match list.get_ref().as_array() {
            Some(list) if list.len() > MAX_APPROVALS => {
                let message = format!("more than {MAX_APPROVALS} approvals");
                reader.wrong(&root.span(), message, "take out those of old contents");
            }
            Some(list) => {
                for node in list.iter() {
                    if let Some(fields) = reader.fields(node, "an approval") {
                        approvals.extend(read_one(&mut reader, fields));
                    }
                }
            }
            None => {
                let message = "`approval` must be a list of tables".to_owned();
                reader.wrong(&list.span(), message, "write [[approval]]");
            }
        }
    }
    fields.finish(&mut reader);
    (approvals, reader.problems)
}

fn read_one<'t>(reader: &mut Reader<'t>, mut fields: Fields<'_, 't>) -> Option<Approval> {
    let (line, _) = reader.place(fields.span.start);
    let mut text = |key: &'static str, reader: &mut Reader<'t>| {
        fields.need(key, reader).and_then(|node| Some((reader.text(node, key)?, node.span())))
    };
    let pack = text("pack", reader);
    let hash = text("hash", reader);
    let by = text("by", reader);
    let of = text("of", reader);
    let signed = text("signature", reader);
    let at = fields.need("at", reader).and_then(|node| reader.instant(node, "at"));
    if let Some((hash, span)) = &hash
        && !is_hash(hash)
    {
        reader.wrong(span, format!("`{hash}` is not a content hash"), "`blake3:` and 64 hex digits");
    }
    if let (Some((by, span)), Some((of, _))) = (&by, &of)
        && super::same_person(by, of)
    {
        reader.wrong(span, format!("`{by}` approves his own pack"), "a second person must approve");
    }
    let signature = signed.and_then(|(text, span)| {
        let bytes = STANDARD.decode(&*text).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        if bytes.is_none() {
            reader.wrong(
                &span,
                "`signature` is not 64 bytes in base64".to_owned(),
                "`cabotage terms approve` writes it",
            );
        }
        bytes
    });
    fields.finish(reader);
    Some(Approval {
        pack: pack?.0,
        hash: hash?.0,
        by: by?.0,
        of: of?.0,
        at: at?,
        signature: signature?,
        file: reader.file(),
        line,
    })
}
