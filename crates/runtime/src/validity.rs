//! The validity table: what a place can take of an item that came from elsewhere.
//!
//! | item | same dialect, same realm | same dialect, another realm | another dialect |
//! | --- | --- | --- | --- |
//! | text, tool call, tool result | as it is | as it is | the codec converts |
//! | thought with a proof (signature, encrypted) | as it is | left out: `reasoning.signature` | the codec strips: `reasoning.signature` |
//! | proof on a call or text | as it is | proof left out: `signature` | the codec strips it |
//! | a file kept at the provider | as it is | a note in its place: `input.file_id` | the same |
//! | a hosted tool's call or result | as it is | left out, by its type | the codec reports it |
//! | compaction of ours | a message with the summary, everywhere | | |
//!
//! A *realm* is where opaque blobs are valid: a host. What is measured: Azure refuses OpenAI's and another
//! region's encrypted thoughts, Vertex and AI Studio refuse each other's. An item without provenance (a caller
//! sent it) is sent as it is; where it is refused, every proof is stripped and the call is made once more.

use crate::keep::Provenance;
use domain::{Call, Item, ItemKind, Losses, MediaSource, Part, PartKind};
use engine::{Place, Tailor};

/// What stands in the place of a file that the target does not have.
const NO_FILE: &str = "[A file stood here that is kept at another provider and is not available.]";

/// Fits a call to places by where its items came from.
#[derive(Debug, Default)]
pub struct Fitting {
    /// One for each item of the call, in order.
    from: Vec<Option<Provenance>>,
    /// Losses that hold wherever it runs.
    always: Losses,
    /// Every proof is left out: a place refused one.
    bare: bool,
}

impl Fitting {
    pub(crate) fn new(from: Vec<Option<Provenance>>, always: Losses) -> Self {
        Self { from, always, bare: false }
    }

    /// The same with every proof left out.
    pub(crate) fn bare(&self) -> Self {
        Self { from: self.from.clone(), always: self.always.clone(), bare: true }
    }

    pub(crate) fn same(&self) -> Self {
        Self { from: self.from.clone(), always: self.always.clone(), bare: self.bare }
    }

    pub(crate) fn add_loss(&mut self, name: &str) {
        self.always.add(name);
    }

    pub(crate) fn from(&self) -> &[Option<Provenance>] {
        &self.from
    }

    pub(crate) fn provenance_mut(&mut self) -> &mut Vec<Option<Provenance>> {
        &mut self.from
    }
}

impl Tailor for Fitting {
    fn fit(&self, call: &Call, place: &Place) -> Option<(Call, Losses)> {
        let none = None;
        let verdicts: Vec<Verdict> = call
            .items
            .iter()
            .zip(self.from.iter().chain(std::iter::repeat(&none)))
            .map(|(item, from)| self.judge(item, from.as_ref(), place))
            .collect();
        if self.always.is_empty() && verdicts.iter().all(|verdict| *verdict == Verdict::Keep) {
            return None;
        }
        let mut losses = self.always.clone();
        let mut fitted = call.clone();
        fitted.items = call
            .items
            .iter()
            .zip(&verdicts)
            .filter_map(|(item, verdict)| apply(item, *verdict, &mut losses))
            .collect();
        Some((fitted, losses))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    /// Leave the item out.
    Drop,
    /// Take proofs and files of the other place out of it.
    Strip {
        proofs: bool,
        files: bool,
    },
}

impl Fitting {
    fn judge(&self, item: &Item, from: Option<&Provenance>, place: &Place) -> Verdict {
        let elsewhere = from.is_some_and(|from| from.realm != place.realm);
        let same_dialect = from.is_some_and(|from| from.dialect == place.dialect);
        let proofs = self.bare || (elsewhere && same_dialect);
        match &item.kind {
            ItemKind::Reasoning(thought) => {
                if proofs && (thought.signature.is_some() || from.is_some()) {
                    Verdict::Drop
                } else {
                    Verdict::Keep
                }
            }
            ItemKind::ToolCall(call) if proofs && call.signature.is_some() => {
                Verdict::Strip { proofs: true, files: false }
            }
            ItemKind::ToolCall(_) => Verdict::Keep,
            ItemKind::Message(said) => of_parts(&said.parts, proofs, elsewhere),
            ItemKind::ToolResult(result) => of_parts(&result.parts, proofs, elsewhere),
            ItemKind::Foreign { .. } if elsewhere && same_dialect => Verdict::Drop,
            ItemKind::Foreign { .. } => Verdict::Keep,
        }
    }
}

fn of_parts(parts: &[Part], proofs: bool, files: bool) -> Verdict {
    let signed = |part: &Part| matches!(&part.kind, PartKind::Text { signature: Some(_), .. });
    let proofs = proofs && parts.iter().any(signed);
    let files = files && parts.iter().any(is_file);
    if proofs || files { Verdict::Strip { proofs, files } } else { Verdict::Keep }
}

fn is_file(part: &Part) -> bool {
    match &part.kind {
        PartKind::Image(media)
        | PartKind::Document(media)
        | PartKind::Audio(media)
        | PartKind::Video(media) => {
            matches!(media.source, MediaSource::FileId(_))
        }
        _ => false,
    }
}

fn apply(item: &Item, verdict: Verdict, losses: &mut Losses) -> Option<Item> {
    match verdict {
        Verdict::Keep => Some(item.clone()),
        Verdict::Drop => {
            match &item.kind {
                ItemKind::Foreign { what } => losses.add(&format!("input.{what}")),
                _ => losses.add("reasoning.signature"),
            }
            None
        }
        Verdict::Strip { proofs, files } => {
            let mut item = item.clone();
            match &mut item.kind {
                ItemKind::ToolCall(call) => {
                    call.signature = None;
                    losses.add("signature");
                }
                ItemKind::Message(said) => strip(&mut said.parts, proofs, files, losses),
                ItemKind::ToolResult(result) => strip(&mut result.parts, proofs, files, losses),
                ItemKind::Reasoning(_) | ItemKind::Foreign { .. } => {}
            }
            Some(item)
        }
    }
}

fn strip(parts: &mut [Part], proofs: bool, files: bool, losses: &mut Losses) {
    for part in parts {
        if files && is_file(part) {
            *part = Part::text(NO_FILE, part.index);
            losses.add("input.file_id");
        } else if let PartKind::Text { signature, .. } = &mut part.kind
            && proofs
            && signature.take().is_some()
        {
            losses.add("signature");
        }
    }
}

/// Whether a call holds proofs that a place could refuse.
pub(crate) fn has_proofs(call: &Call) -> bool {
    call.items.iter().any(|item| match &item.kind {
        ItemKind::Reasoning(thought) => thought.signature.is_some(),
        ItemKind::ToolCall(call) => call.signature.is_some(),
        ItemKind::Message(said) => {
            said.parts.iter().any(|part| matches!(&part.kind, PartKind::Text { signature: Some(_), .. }))
        }
        ItemKind::ToolResult(_) | ItemKind::Foreign { .. } => false,
    })
}

/// Whether an upstream's refusal is about a proof: its words say so, whatever its code.
pub(crate) fn refuses_proofs(fault: &domain::Fault) -> bool {
    let detail = fault.detail.as_deref().unwrap_or_default().to_ascii_lowercase();
    let words = ["signature", "encrypted_content", "encrypted content", "thinking block", "thinking` block"];
    matches!(fault.upstream_status, Some(400 | 422)) && words.iter().any(|word| detail.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Dialect, Media, Message, ModelName, Origin, Reasoning, Role, Signature, ToolCall};

    fn place(dialect: Dialect, realm: &str) -> Place {
        Place { deployment: "d".into(), dialect, realm: realm.into(), model: "m".into() }
    }

    fn from(dialect: Dialect, realm: &str) -> Option<Provenance> {
        Some(Provenance::of("m", &place(dialect, realm), 0))
    }

    fn proof(dialect: Dialect) -> Option<Signature> {
        Some(Signature { dialect, data: "proof".into() })
    }

    fn conversation(dialect: Dialect) -> Call {
        let mut call = Call::new(Dialect::OpenAiResponses, ModelName::new("m"));
        let thought = Reasoning { text: "hm".into(), signature: proof(dialect), redacted: false };
        let asked =
            ToolCall { id: "c1".into(), name: "f".into(), arguments: "{}".into(), signature: proof(dialect) };
        let media = Media { source: MediaSource::FileId("file-1".into()), mime: None, name: None };
        let said = Message { role: Role::User, parts: vec![Part::new(PartKind::Document(media), 0)] };
        for kind in [ItemKind::Reasoning(thought), ItemKind::ToolCall(asked), ItemKind::Message(said)] {
            call.items.push(Item::new(kind, Origin::default()));
        }
        call
    }

    #[test]
    fn at_home_everything_is_taken_as_it_is() {
        let home = Dialect::AnthropicMessages;
        let fitting = Fitting::new(vec![from(home, "a"); 3], Losses::none());
        assert_eq!(fitting.fit(&conversation(home), &place(home, "a")), None);
        let unknown = Fitting::new(vec![None; 3], Losses::none());
        assert_eq!(
            unknown.fit(&conversation(home), &place(home, "b")),
            None,
            "a caller's own is sent as it is"
        );
    }

    #[test]
    fn in_another_realm_proofs_and_files_are_left_out_by_name() {
        let dialect = Dialect::OpenAiResponses;
        let fitting = Fitting::new(vec![from(dialect, "a"); 3], Losses::none());
        let (call, losses) = fitting.fit(&conversation(dialect), &place(dialect, "b")).unwrap();
        assert_eq!(losses.to_string(), "reasoning.signature, signature, input.file_id");
        assert_eq!(call.items.len(), 2);
        assert!(!has_proofs(&call));
        let ItemKind::Message(said) = &call.items[1].kind else { panic!("a message") };
        assert!(matches!(&said.parts[0].kind, PartKind::Text { text, .. } if text == NO_FILE));
    }

    #[test]
    fn to_another_dialect_the_codec_strips_and_the_table_takes_files_only() {
        let fitting = Fitting::new(vec![from(Dialect::Gemini, "a"); 3], Losses::none());
        let (call, losses) =
            fitting.fit(&conversation(Dialect::Gemini), &place(Dialect::BedrockConverse, "b")).unwrap();
        assert_eq!(losses.to_string(), "input.file_id");
        assert!(has_proofs(&call), "the codec drops them and reports it");
    }

    #[test]
    fn after_a_refusal_every_proof_goes() {
        let dialect = Dialect::AnthropicMessages;
        let fitting = Fitting::new(vec![None; 3], Losses::none()).bare();
        let (call, losses) = fitting.fit(&conversation(dialect), &place(dialect, "a")).unwrap();
        assert!(!has_proofs(&call));
        assert_eq!(losses.to_string(), "reasoning.signature, signature");
        let mut fault = domain::Fault::upstream(domain::Code::InvalidRequest, "no");
        fault.upstream_status = Some(400);
        assert!(refuses_proofs(
            &fault.clone().because("messages.1.content.0: Invalid `signature` in `thinking` block")
        ));
        assert!(refuses_proofs(&fault.clone().because("invalid_encrypted_content: could not be verified")));
        assert!(!refuses_proofs(&fault.because("max_tokens: too large")));
    }
}
