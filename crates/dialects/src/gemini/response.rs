//! Wire reply → reply. A streamed chunk is a partial reply of the same form, so both are read here.

use super::{error, ids, stream::Decoder, types::Fields};
use crate::codec::StreamDecoder as _;
use domain::{
    Bag, Candidate, Code, Dialect, Fault, Finish, Fold, Item, ItemKind, Message, Origin, Part, PartKind, Raw,
    Reasoning, Reply, Role, Signature, ToolCall, Usage, UsageSource,
};
use serde_json::value::RawValue;

const G: Dialect = Dialect::Gemini;

/// A whole reply, or one chunk of a stream.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) id: Option<Box<str>>,
    pub(super) model: Option<Box<str>>,
    pub(super) created: Option<i64>,
    pub(super) usage: Option<Usage>,
    pub(super) tier: Option<Box<str>>,
    pub(super) bag: Bag,
    pub(super) candidates: Vec<WireCandidate>,
    /// The prompt was refused: `promptFeedback.blockReason` is there.
    pub(super) blocked: bool,
}

/// A candidate, or a piece of one.
#[derive(Debug, Default)]
pub(super) struct WireCandidate {
    pub(super) index: u32,
    pub(super) parts: Vec<WirePart>,
    pub(super) has_index: bool,
    pub(super) has_content: bool,
    pub(super) has_parts: bool,
    pub(super) finish: Option<String>,
    pub(super) logprobs: Option<Raw>,
    pub(super) bag: Bag,
}

/// A part of a candidate.
#[derive(Debug)]
pub(super) enum WirePart {
    Text { text: String, signature: Option<Signature>, bag: Bag },
    Thought { text: String, signature: Option<Signature> },
    Call { id: Option<String>, name: String, arguments: String, signature: Option<Signature> },
    Block { what: Box<str>, block: Raw },
}

/// Reads a reply; a list of chunks (the streamed form without `alt=sse`) is folded.
pub(super) fn decode(body: &[u8]) -> Result<Reply, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| bad("is not valid UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('[') {
        let (mut decoder, mut events, mut fold) = (Decoder::default(), Vec::new(), Fold::new());
        decoder.push(text.as_bytes(), &mut events)?;
        decoder.end(&mut events)?;
        events.iter().for_each(|event| fold.push(event));
        return fold.into_reply().map_err(|fault| *fault);
    }
    let chunk = chunk(text)?;
    if chunk.candidates.is_empty() && !chunk.blocked {
        return Err(bad("has no candidates"));
    }
    Ok(reply(chunk))
}

/// The fault of a reply that is not what the API promises.
pub(super) fn bad(what: &str) -> Fault {
    Fault::upstream(Code::UpstreamBadResponse, format!("The upstream's Gemini reply {what}."))
}

fn reply(chunk: Chunk) -> Reply {
    let id = chunk.id.unwrap_or_default();
    let mut candidates: Vec<Candidate> =
        chunk.candidates.into_iter().map(|candidate| whole(candidate, &id)).collect();
    if candidates.is_empty() {
        let mut bag = Bag::new();
        bag.put(G, "$noCandidate", Raw::null());
        candidates.push(Candidate { finish: Some(Finish::ContentFilter), bag, ..Candidate::default() });
    }
    candidates.sort_by_key(|candidate| candidate.index);
    Reply {
        id,
        model: chunk.model.unwrap_or_default(),
        created: chunk.created,
        candidates,
        usage: chunk.usage,
        service_tier: chunk.tier,
        bag: chunk.bag,
    }
}

fn whole(wire: WireCandidate, reply_id: &str) -> Candidate {
    let mut items: Vec<Item> = Vec::new();
    let mut calls = 0;
    let mut bag = wire.bag;
    for part in wire.parts {
        let at = Origin { message: 0, part: u32::try_from(items.len()).unwrap_or(u32::MAX) };
        let kind = match part {
            WirePart::Text { text, signature, bag } => {
                let kind = PartKind::Text { text, signature };
                if let Some(Item { kind: ItemKind::Message(message), .. }) = items.last_mut() {
                    let index = u32::try_from(message.parts.len()).unwrap_or(u32::MAX);
                    message.parts.push(Part { kind, index, bag });
                    continue;
                }
                ItemKind::Message(Message {
                    role: Role::Assistant,
                    parts: vec![Part { kind, index: 0, bag }],
                })
            }
            WirePart::Thought { text, signature } => {
                ItemKind::Reasoning(Reasoning { text, signature, redacted: false })
            }
            WirePart::Call { id, name, arguments, signature } => {
                let id = id.unwrap_or_else(|| call_id(reply_id, wire.index, calls, &name, &arguments));
                calls += 1;
                ItemKind::ToolCall(ToolCall { id, name, arguments, signature })
            }
            WirePart::Block { what, block } => {
                let mut item = Item::new(ItemKind::Foreign { what }, at);
                item.bag.put(G, "$block", block);
                items.push(item);
                continue;
            }
        };
        items.push(Item::new(kind, at));
    }
    if !wire.has_index {
        bag.put(G, "$noIndex", Raw::null());
    }
    if !wire.has_content {
        bag.put(G, "$noContent", Raw::null());
    } else if !wire.has_parts {
        bag.put(G, "$noParts", Raw::null());
    }
    let finish = wire.finish.map(|word| finish_of(&word, calls > 0, &mut bag));
    Candidate { index: wire.index, items, finish, logprobs: wire.logprobs, bag }
}

/// The id of a call that has none: of the answer, so that equal calls of two answers differ.
pub(super) fn call_id(reply: &str, candidate: u32, call: u32, name: &str, arguments: &str) -> String {
    if candidate == 0 {
        ids::make(reply, call, name, arguments)
    } else {
        ids::make(&format!("{reply}/{candidate}"), call, name, arguments)
    }
}

/// The class of a `finishReason`. Gemini says `STOP` for tool calls too. A word that its class does not give
/// back is noted.
pub(super) fn finish_of(word: &str, has_calls: bool, bag: &mut Bag) -> Finish {
    let finish = match word {
        // Google says STOP; hosts that imitate it say FUNCTION_CALL.
        "STOP" | "FUNCTION_CALL" if has_calls => Finish::ToolCalls,
        "STOP" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => Finish::ContentFilter,
        other => Finish::Other(other.into()),
    };
    if word_of(&finish) != word {
        bag.put(G, "$finishReason", Raw::of(word).unwrap_or_else(|_| Raw::null()));
    }
    finish
}

/// The `finishReason` of a class.
pub(super) fn word_of(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter | Finish::Refusal => "SAFETY",
        Finish::Pause => "OTHER",
        Finish::Other(word) => word,
    }
}

/// Reads a reply or chunk.
///
/// # Errors
/// `upstream_bad_response`, or the fault that an `error` inside says.
pub(super) fn chunk(text: &str) -> Result<Chunk, Fault> {
    let mut fields: Fields<'_> = serde_json::from_str(text)
        .map_err(|error| bad("is not a JSON object").because(&error.to_string()))?;
    if fields.get("error").is_some() {
        return Err(error::inside(text.as_bytes()));
    }
    let mut chunk =
        Chunk { id: fields.take_as("responseId"), model: fields.take_as("modelVersion"), ..Chunk::default() };
    let created: Option<String> = fields.get("createTime").and_then(|v| serde_json::from_str(v.get()).ok());
    if let Some(seconds) = created.as_deref().and_then(unix_seconds)
        && let Some(raw) = fields.take("createTime")
    {
        chunk.created = Some(seconds);
        chunk.bag.put(G, "$createTime", Raw::from(raw));
    }
    if let Some(value) = fields.take("usageMetadata") {
        let read: WireUsage = serde_json::from_str(value.get())
            .map_err(|error| bad("has a bad `usageMetadata`").because(&error.to_string()))?;
        chunk.tier = read.service_tier.clone().or_else(|| read.traffic_type.clone());
        chunk.usage = read.normal();
        chunk.bag.put(G, "$usageMetadata", Raw::from(value));
    }
    chunk.blocked = fields
        .get("promptFeedback")
        .and_then(|value| Fields::of(value.get()))
        .is_some_and(|feedback| feedback.get("blockReason").is_some());
    if let Some(value) = fields.take("candidates") {
        let list: Option<Vec<&RawValue>> =
            serde_json::from_str(value.get()).map_err(|_| bad("has `candidates` that are no list"))?;
        for (position, value) in list.unwrap_or_default().into_iter().enumerate() {
            chunk.candidates.push(candidate(value, u32::try_from(position).unwrap_or(u32::MAX))?);
        }
    }
    fields.into_bag("", &mut chunk.bag);
    Ok(chunk)
}

fn candidate(value: &RawValue, position: u32) -> Result<WireCandidate, Fault> {
    let mut fields = Fields::of(value.get()).ok_or_else(|| bad("has a candidate that is no object"))?;
    let mut wire = WireCandidate::default();
    let index = fields.take_as("index");
    wire.has_index = index.is_some();
    wire.index = index.unwrap_or(position);
    wire.finish = fields.take_as("finishReason");
    wire.logprobs = fields.take("logprobsResult").map(Raw::from);
    if let Some(content) = fields.take("content") {
        let mut content = Fields::of(content.get()).ok_or_else(|| bad("has a content that is no object"))?;
        wire.has_content = true;
        match content.take_as::<String>("role") {
            Some(role) if role == "model" => {}
            role => wire.bag.put(G, "$role", Raw::of(&role).unwrap_or_else(|_| Raw::null())),
        }
        if let Some(parts) = content.take("parts") {
            let list: Option<Vec<&RawValue>> =
                serde_json::from_str(parts.get()).map_err(|_| bad("has parts that are no list"))?;
            wire.has_parts = true;
            for part in list.unwrap_or_default() {
                wire.parts.push(self::part(part)?);
            }
        }
    }
    fields.into_bag("", &mut wire.bag);
    Ok(wire)
}

fn part(value: &RawValue) -> Result<WirePart, Fault> {
    let mut fields = Fields::of(value.get()).ok_or_else(|| bad("has a part that is no object"))?;
    let block = || Raw::from(value);
    if let Some(text) = fields.take_as::<String>("text") {
        let signature = fields.take_as("thoughtSignature").map(|data| Signature { dialect: G, data });
        if fields.take_as::<bool>("thought") == Some(true) {
            return Ok(WirePart::Thought { text, signature });
        }
        let mut bag = Bag::new();
        fields.into_bag("", &mut bag);
        return Ok(WirePart::Text { text, signature, bag });
    }
    if let Some(inner) = fields.take("functionCall") {
        let signature = fields.take_as("thoughtSignature").map(|data| Signature { dialect: G, data });
        let mut call = Fields::of(inner.get()).ok_or_else(|| bad("has a functionCall that is no object"))?;
        let name = call.take_as("name").ok_or_else(|| bad("has a functionCall without a name"))?;
        let arguments = call.take("args").map_or_else(|| String::from("{}"), |args| args.get().to_owned());
        return Ok(WirePart::Call { id: call.take_as("id"), name, arguments, signature });
    }
    let named = fields.rest().find(|(name, _)| !matches!(*name, "thought" | "thoughtSignature"));
    let what = named.map_or("part", |(name, _)| name).into();
    Ok(WirePart::Block { what, block: block() })
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireUsage {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    prompt_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
    service_tier: Option<Box<str>>,
    traffic_type: Option<Box<str>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Modality {
    modality: Option<Box<str>>,
    token_count: Option<u64>,
}

impl WireUsage {
    /// Prompt counts include cached tokens, not tool results; candidates do not include thoughts.
    fn normal(&self) -> Option<Usage> {
        let prompt = self.prompt_token_count;
        if prompt.is_none() && self.candidates_token_count.is_none() {
            return None;
        }
        let prompt = prompt.unwrap_or_default();
        let cached = self.cached_content_token_count.unwrap_or_default().min(prompt);
        let audio = |details: &Option<Vec<Modality>>| {
            let sum = details.iter().flatten().filter(|one| one.modality.as_deref() == Some("AUDIO"));
            sum.filter_map(|one| one.token_count).fold(0, u64::saturating_add)
        };
        Some(Usage {
            uncached_in: (prompt - cached)
                .saturating_add(self.tool_use_prompt_token_count.unwrap_or_default()),
            cache_read: cached,
            out_visible: self.candidates_token_count.unwrap_or_default(),
            out_reasoning: self.thoughts_token_count.unwrap_or_default(),
            audio_in: audio(&self.prompt_tokens_details),
            audio_out: audio(&self.candidates_tokens_details),
            source: UsageSource::Reported,
            ..Usage::default()
        })
    }
}

/// Unix seconds of an RFC 3339 time in UTC (`2026-08-19T14:40:44.232367Z`).
fn unix_seconds(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|piece| piece.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split('.').next()?.splitn(3, ':').map(|piece| piece.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970 by the civil calendar, years beginning in March.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, month) = (year / 400, (month + 9) % 12);
    let of_era = year - era * 400;
    let days =
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}
