//! Wire values of Bedrock Converse that both directions share: stop reasons, token counts, media formats.

use crate::object::{self, Object};
use domain::{Finish, Usage, UsageSource};
use serde::Deserialize;

/// Token counts as the wire says them. `inputTokens` does not include what a cache served or took.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireUsage {
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
    pub(super) cache_write_input_tokens: u64,
    pub(super) cache_details: Vec<CacheDetail>,
}

/// Cache writes of one lifetime; part of `cacheWriteInputTokens`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CacheDetail {
    pub(super) ttl: String,
    pub(super) input_tokens: u64,
}

impl WireUsage {
    /// In the normal form. Contradictions are clamped, never negative.
    pub(super) fn normal(&self) -> Usage {
        let hours = self.cache_details.iter().filter(|detail| detail.ttl == "1h");
        let hour = hours.fold(0_u64, |sum, detail| sum.saturating_add(detail.input_tokens));
        let hour = hour.min(self.cache_write_input_tokens);
        Usage {
            uncached_in: self.input_tokens,
            cache_read: self.cache_read_input_tokens,
            cache_write: self.cache_write_input_tokens - hour,
            cache_write_1h: hour,
            out_visible: self.output_tokens,
            out_reasoning: 0,
            audio_in: 0,
            audio_out: 0,
            source: UsageSource::Reported,
        }
    }
}

/// A usage as the wire object.
pub(super) fn usage_text(usage: &Usage) -> String {
    let mut text = Object::new();
    text.scalar("inputTokens", usage.uncached_in)
        .scalar("outputTokens", usage.output_total())
        .scalar("totalTokens", usage.input_total().saturating_add(usage.output_total()))
        .scalar("cacheReadInputTokens", usage.cache_read)
        .scalar("cacheWriteInputTokens", usage.cache_write.saturating_add(usage.cache_write_1h));
    if usage.cache_write_1h > 0 {
        let detail = |ttl: &str, tokens: u64| {
            let mut detail = Object::new();
            detail.string("ttl", ttl).scalar("inputTokens", tokens);
            detail.finish()
        };
        let details = [detail("5m", usage.cache_write), detail("1h", usage.cache_write_1h)];
        text.json("cacheDetails", &object::list(&details));
    }
    text.finish()
}

/// A stop reason and, where our class does not determine it, the wire word to note.
pub(super) fn finish_of(reason: &str, calls_tools: bool) -> (Finish, Option<&'static str>) {
    match reason {
        "end_turn" if calls_tools => (Finish::ToolCalls, Some("end_turn")),
        "end_turn" => (Finish::Stop, None),
        "max_tokens" => (Finish::Length, None),
        "model_context_window_exceeded" => (Finish::Length, Some("model_context_window_exceeded")),
        "stop_sequence" => (Finish::StopSequence(None), None),
        "tool_use" => (Finish::ToolCalls, None),
        "content_filtered" => (Finish::ContentFilter, None),
        "guardrail_intervened" => (Finish::ContentFilter, Some("guardrail_intervened")),
        other => (Finish::Other(other.into()), None),
    }
}

/// The stop reason for a class.
pub(super) fn stop_reason(finish: Option<&Finish>) -> &str {
    match finish {
        None | Some(Finish::Stop | Finish::Pause) => "end_turn",
        Some(Finish::StopSequence(_)) => "stop_sequence",
        Some(Finish::Length) => "max_tokens",
        Some(Finish::ToolCalls) => "tool_use",
        Some(Finish::ContentFilter | Finish::Refusal) => "content_filtered",
        Some(Finish::Other(word)) => word,
    }
}

/// The formats of documents and their media types.
const DOCUMENTS: [(&str, &str); 9] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

/// The media type of a document's format.
pub(super) fn document_mime(format: &str) -> Option<&'static str> {
    DOCUMENTS.iter().find(|(own, _)| *own == format).map(|(_, mime)| *mime)
}

/// The format of a document: from its media type, or from the ending of its name.
pub(super) fn document_format(mime: Option<&str>, name: Option<&str>) -> Option<&'static str> {
    let bare = bare(mime);
    let by_mime = DOCUMENTS.iter().find(|(_, own)| *own == bare).map(|(format, _)| *format);
    by_mime.or_else(|| {
        let ending = name?.rsplit_once('.')?.1.to_ascii_lowercase();
        DOCUMENTS.iter().find(|(own, _)| *own == ending).map(|(format, _)| *format)
    })
}

/// A media type in lower case without parameters.
pub(super) fn bare(mime: Option<&str>) -> String {
    mime.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The format of an image, of those that the host takes.
pub(super) fn image_format(mime: Option<&str>) -> Option<&'static str> {
    match bare(mime).as_str() {
        "image/png" => Some("png"),
        "image/jpeg" | "image/jpg" | "image/pjpeg" => Some("jpeg"),
        "image/gif" => Some("gif"),
        "image/webp" => Some("webp"),
        _ => None,
    }
}
