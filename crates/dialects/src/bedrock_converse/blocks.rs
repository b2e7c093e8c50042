//! Content blocks, call → wire.

use super::{
    OWN,
    types::{bare, document_format, image_format},
};
use crate::{
    carried::cannot,
    object::{self, Object},
    turns::{self, Block, BlockKind},
};
use domain::{Fault, Losses, Media, MediaSource, Part, PartKind, Raw, Reasoning, ToolResult};

/// Longest name of a document (Bedrock's documentation of `DocumentBlock`).
const MAX_NAME: usize = 200;

/// Writes blocks of one request; documents need names that are unique in it.
#[derive(Debug)]
pub(super) struct Writer {
    /// The call is of this dialect, so nothing is adjusted.
    own: bool,
    names: Vec<String>,
}

impl Writer {
    pub(super) const fn new(own: bool) -> Self {
        Self { own, names: Vec::new() }
    }

    /// The blocks of one message, with cache points behind those that are marked.
    pub(super) fn list(&mut self, blocks: &[Block<'_>], losses: &mut Losses) -> Result<String, Fault> {
        let mut texts = Vec::with_capacity(blocks.len());
        for block in blocks {
            texts.push(self.block(block, losses)?);
            let mark = match &block.kind {
                BlockKind::Reasoning(_) => None,
                // A cache point cannot stand inside of a result: it moves behind it.
                BlockKind::ToolResult(result) if !self.own => {
                    let inner = || result.parts.iter().rev().find_map(|part| turns::cache_mark(&part.bag));
                    block.cache.clone().or_else(inner)
                }
                _ => block.cache.clone(),
            };
            texts.extend(mark.map(|mark| cache_point(&mark)));
        }
        let is_document =
            |block: &Block<'_>| matches!(block.kind, BlockKind::Media(PartKind::Document(_), _));
        let is_text = |block: &Block<'_>| matches!(block.kind, BlockKind::Text(_));
        if !self.own && blocks.iter().any(is_document) && !blocks.iter().any(is_text) {
            // The host refuses a document without a text beside it.
            texts.push(r#"{"text":"."}"#.to_owned());
        }
        Ok(object::list(&texts))
    }

    fn block(&mut self, block: &Block<'_>, losses: &mut Losses) -> Result<String, Fault> {
        if let Some(raw) = block.bag.get(OWN, "$block") {
            return Ok(raw.text().to_owned());
        }
        let mut inner = Object::new();
        let word = match &block.kind {
            BlockKind::Text(words) => {
                let mut text = Object::new();
                match block.bag.get(OWN, "$json") {
                    Some(json) => text.raw("json", json),
                    None => text.string("text", words),
                };
                text.bag(block.bag, OWN);
                return Ok(text.finish());
            }
            BlockKind::Media(kind, media) => self.media(kind, media, block.message, &mut inner)?,
            BlockKind::Reasoning(thought) => return Ok(reasoning_text(thought)),
            BlockKind::ToolCall(call) => {
                let id = if self.own { call.id.clone() } else { turns::tool_id(&call.id) };
                inner.string("toolUseId", &id).string("name", &call.name);
                inner.json("input", &turns::arguments_object(&call.arguments, losses));
                "toolUse"
            }
            BlockKind::ToolResult(result) => {
                self.result(result, block.message, &mut inner, losses)?;
                "toolResult"
            }
            BlockKind::Foreign(_) => return Ok("null".to_owned()),
        };
        inner.bag(block.bag, OWN);
        let mut text = Object::new();
        text.json(word, &inner.finish());
        Ok(text.finish())
    }

    fn result(
        &mut self,
        result: &ToolResult,
        message: u32,
        inner: &mut Object,
        losses: &mut Losses,
    ) -> Result<(), Fault> {
        let id = if self.own { result.call_id.clone() } else { turns::tool_id(&result.call_id) };
        inner.string("toolUseId", &id);
        let mut texts = Vec::new();
        for Part { kind, bag, .. } in &result.parts {
            let part = Part { kind: kind.clone(), index: 0, bag: bag.clone() };
            let kind = turns::part_kind(&part);
            if !self.own && matches!(kind, BlockKind::Text(words) if words.trim().is_empty()) {
                continue;
            }
            texts.push(self.block(&Block { kind, bag, cache: None, message }, losses)?);
        }
        inner.json("content", &object::list(&texts));
        match result.is_error {
            Some(true) => {
                inner.string("status", "error");
            }
            Some(false) if self.own => {
                inner.string("status", "success");
            }
            _ => {}
        }
        Ok(())
    }

    fn media(
        &mut self,
        kind: &PartKind,
        media: &Media,
        message: u32,
        inner: &mut Object,
    ) -> Result<&'static str, Fault> {
        let place = format!("messages[{message}].content");
        if !self.own {
            takes_source(&media.source, &place)?;
        }
        let mime = media.mime.as_deref();
        let word = match kind {
            PartKind::Image(_) => {
                let format =
                    image_format(mime).or_else(|| ending(media).and_then(|e| image_format(Some(&e))));
                let format = match format {
                    Some(format) => format.to_owned(),
                    None if self.own => sub_type(mime),
                    None => {
                        let what = bare(mime);
                        return Err(cannot(
                            &place,
                            format!("images must be PNG, JPEG, GIF or WebP, not `{what}`"),
                        ));
                    }
                };
                inner.string("format", &format);
                "image"
            }
            PartKind::Document(_) => {
                match document_format(mime, media.name.as_deref()) {
                    Some(format) => {
                        inner.string("format", format);
                    }
                    None if self.own => {
                        if mime.is_some() {
                            inner.string("format", &sub_type(mime));
                        }
                    }
                    None if matches!(media.source, MediaSource::Text(_)) => {
                        inner.string("format", "txt");
                    }
                    None => {
                        let what = bare(mime);
                        let says = format!("this host takes no documents of type `{what}`");
                        return Err(cannot(&place, says));
                    }
                }
                inner.string("name", &self.name(media.name.as_deref()));
                "document"
            }
            PartKind::Video(_) => {
                inner.string("format", &sub_type(mime));
                "video"
            }
            PartKind::Audio(_) => {
                inner.string("format", &sub_type(mime));
                "audio"
            }
            _ => return Err(cannot(&place, "this content cannot be sent to this host".into())),
        };
        let mut source = Object::new();
        match &media.source {
            MediaSource::Base64(data) => source.string("bytes", data),
            MediaSource::Text(words) => source.string("text", words),
            MediaSource::Url(uri) | MediaSource::FileId(uri) => {
                let mut location = Object::new();
                location.string("uri", uri);
                source.json("s3Location", &location.finish())
            }
        };
        inner.json("source", &source.finish());
        Ok(word)
    }

    /// A document's name in the host's alphabet (letters, digits, single spaces, hyphens, round and square
    /// brackets), unique in the request.
    fn name(&mut self, given: Option<&str>) -> String {
        if self.own {
            return given.unwrap_or_default().to_owned();
        }
        let given = given.unwrap_or("Document");
        let stem =
            given.rsplit_once('.').map_or(given, |(stem, _)| if stem.is_empty() { given } else { stem });
        let mut name = String::new();
        for letter in stem.chars().take(MAX_NAME - 8) {
            let fits = letter.is_ascii_alphanumeric() || "-()[]".contains(letter);
            let letter = if fits || letter == ' ' { letter } else { '-' };
            if !(letter == ' ' && name.ends_with(' ')) {
                name.push(letter);
            }
        }
        let name = if name.trim().is_empty() { "Document".to_owned() } else { name.trim().to_owned() };
        let mut unique = name.clone();
        let mut number = 2_u32;
        while self.names.contains(&unique) {
            unique = format!("{name} {number}");
            number += 1;
        }
        self.names.push(unique.clone());
        unique
    }
}

/// Refuses what the host cannot read, before anything is said of its type.
fn takes_source(source: &MediaSource, place: &str) -> Result<(), Fault> {
    let says = match source {
        MediaSource::Base64(_) | MediaSource::Text(_) => return Ok(()),
        MediaSource::Url(uri) if uri.starts_with("s3://") => return Ok(()),
        MediaSource::Url(_) => {
            "this host takes bytes, not URLs, and the gateway does not fetch; send a data URL"
        }
        MediaSource::FileId(_) => "this host does not know the file id; send the bytes as a data URL",
    };
    Err(cannot(place, says.into()))
}

/// The image type that the ending of a URL tells.
fn ending(media: &Media) -> Option<String> {
    let MediaSource::Url(uri) = &media.source else { return None };
    let ending = uri.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(format!("image/{ending}"))
}

fn sub_type(mime: Option<&str>) -> String {
    let bare = bare(mime);
    match bare.rsplit_once('/') {
        Some((_, "3gpp")) => "three_gp".to_owned(),
        Some((_, "quicktime")) => "mov".to_owned(),
        Some((_, "x-matroska")) => "mkv".to_owned(),
        Some((_, "x-wav" | "wave")) => "wav".to_owned(),
        Some((_, sub)) => sub.to_owned(),
        None => bare,
    }
}

/// A thought as a block.
pub(super) fn reasoning_text(thought: &Reasoning) -> String {
    let data = thought.signature.as_ref().map(|proof| &*proof.data);
    let mut inner = Object::new();
    if thought.redacted {
        inner.string("redactedContent", data.unwrap_or_default());
    } else {
        let mut shown = Object::new();
        shown.string("text", &thought.text);
        if let Some(data) = data {
            shown.string("signature", data);
        }
        inner.json("reasoningText", &shown.finish());
    }
    let mut text = Object::new();
    text.json("reasoningContent", &inner.finish());
    text.finish()
}

/// A cache point for a cache mark of Anthropic's form; its lifetime is said where it is an hour.
pub(super) fn cache_point(mark: &Raw) -> String {
    let hour = mark.value().get("ttl").and_then(|ttl| ttl.as_str()) == Some("1h");
    let mut point = Object::new();
    point.string("type", "default");
    if hour {
        point.string("ttl", "1h");
    }
    let mut text = Object::new();
    text.json("cachePoint", &point.finish());
    text.finish()
}
