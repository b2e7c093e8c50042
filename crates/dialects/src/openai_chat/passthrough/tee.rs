//! A streamed answer that passes through: the same bytes go out, and what settlement needs is read.
//!
//! Reading is lazy. Until the first content every frame is parsed; after it only frames that name a finish
//! reason, usage or an error, which a search for the quoted member names tells (inside of a JSON text a quote
//! is escaped, so the search cannot be fooled into missing one, and a frame found in vain is only parsed).
//!
//! Where we asked for usage that the caller did not ask for, the chunk that has nothing but usage is taken
//! out. `"usage":null` in the other chunks stays: the chunks are the upstream's bytes, and clients skip it.

use crate::{
    openai_chat::{
        error, finish,
        types::{Filled, Lenient, WireUsage},
    },
    sse::{Frame, Framer, MAX_FRAME_BYTES},
};
use bytes::Bytes;
use domain::{Code, Fault, Finish, Usage};
use memchr::memmem::Finder;
use serde::Deserialize;
use std::sync::LazyLock;

/// How a stream ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With its end mark or a finish reason.
    Complete,
    /// Before it, or with an error frame. What was forwarded is not a complete answer: say so in the
    /// stream ([`crate::openai_chat::stream_error_frame`]) and send no `[DONE]`.
    Broken(Fault),
}

/// Lets a streamed answer through and reads what is needed. Holds back at most one unfinished frame (2 MiB).
#[derive(Debug, Default)]
pub struct StreamTee {
    framer: Framer,
    strip_usage: bool,
    held: Vec<Bytes>,
    held_bytes: usize,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    id: Option<Box<str>>,
    model: Option<Box<str>>,
    service_tier: Option<Box<str>>,
    system_fingerprint: Option<Box<str>>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    frames: u64,
    content: bool,
    done: bool,
    failed: Option<Fault>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    id: Lenient,
    #[serde(default)]
    model: Lenient,
    #[serde(default)]
    service_tier: Lenient,
    #[serde(default)]
    system_fingerprint: Lenient,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Filled,
    #[serde(default)]
    x_groq: Option<XGroq>,
}

#[derive(Deserialize)]
struct XGroq {
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Lenient,
    #[serde(default)]
    error: Filled,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Delta {
    content: Filled,
    reasoning_content: Filled,
    reasoning: Filled,
    reasoning_details: Filled,
    refusal: Filled,
    tool_calls: Filled,
    function_call: Filled,
    audio: Filled,
}

impl Delta {
    const fn is_content(&self) -> bool {
        self.content.0
            || self.reasoning_content.0
            || self.reasoning.0
            || self.reasoning_details.0
            || self.refusal.0
            || self.tool_calls.0
            || self.function_call.0
            || self.audio.0
    }
}

impl StreamTee {
    /// For one stream. `strip_usage`: we put `include_usage` in, so the usage chunk is not the caller's.
    #[must_use]
    pub fn new(strip_usage: bool) -> Self {
        Self { strip_usage, ..Self::default() }
    }

    /// Takes bytes from upstream and appends those to forward: slices of the same buffer.
    ///
    /// # Errors
    /// `upstream_bad_response` where the bytes are no event stream with JSON. An error that the upstream
    /// reports inside the stream is not forwarded in its own words: see [`StreamTee::failure`].
    pub fn push(&mut self, bytes: &Bytes, out: &mut Vec<Bytes>) -> Result<(), Fault> {
        if self.seen.failed.is_some() {
            return Ok(());
        }
        // `from`: start of what was not given out yet; `last`: end of the last frame.
        let (mut from, mut last) = (0, 0);
        let Self { framer, strip_usage, held, seen, .. } = self;
        framer.push(bytes, |frame| {
            if seen.failed.is_some() {
                return Ok(());
            }
            // The answer has one end, however often a host says so.
            let after_end = seen.done;
            let usage_only = seen.read(frame)?;
            if seen.failed.is_some() || after_end || (usage_only && *strip_usage) {
                if last > from {
                    out.push(bytes.slice(from..last));
                }
                if last == 0 {
                    held.clear();
                }
                from = frame.end;
            } else {
                out.append(held);
            }
            last = frame.end;
            Ok(())
        })?;
        if self.seen.failed.is_some() {
            return Ok(());
        }
        if last > 0 {
            self.held_bytes = 0;
        }
        // An unfinished frame waits, so that an error frame or the end of a broken stream never stands
        // behind half a line. Comments do not wait.
        let mut whole = bytes.len();
        if self.framer.is_pending() && self.held_bytes + (bytes.len() - last) <= 2 * MAX_FRAME_BYTES {
            whole = last;
        } else {
            out.append(&mut self.held);
            self.held_bytes = 0;
        }
        if whole > from {
            out.push(bytes.slice(from..whole));
        }
        if bytes.len() > whole {
            self.held_bytes += bytes.len() - whole;
            self.held.push(bytes.slice(whole..));
        }
        Ok(())
    }

    /// The upstream closed the connection: appends what was held back.
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> End {
        let Self { framer, seen, .. } = self;
        let (mut usage_only, after_end) = (false, seen.done);
        let outcome = framer.end(|frame| {
            usage_only = seen.read(frame)?;
            Ok(())
        });
        if let Err(fault) = outcome {
            return End::Broken(fault);
        }
        if let Some(fault) = &self.seen.failed {
            return End::Broken(fault.clone());
        }
        if !self.seen.done && self.seen.finish.is_none() {
            return End::Broken(error::cut_off());
        }
        if !(after_end || usage_only && self.strip_usage) {
            out.append(&mut self.held);
        }
        End::Complete
    }

    /// Whether something that a caller can see or act on has passed: text, thoughts, a tool call, a refusal.
    #[must_use]
    pub const fn content_seen(&self) -> bool {
        self.seen.content
    }

    /// Whether the end mark has passed.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.seen.done
    }

    /// The error that the upstream reported inside the stream. Nothing is forwarded from it on.
    #[must_use]
    pub const fn failure(&self) -> Option<&Fault> {
        self.seen.failed.as_ref()
    }

    /// Tokens, the last that were reported.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.seen.usage
    }

    /// Why the answer ended, where it has.
    #[must_use]
    pub const fn finish(&self) -> Option<&Finish> {
        self.seen.finish.as_ref()
    }

    /// How many frames with data have passed: about the number of output tokens, where nobody counts them.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.seen.frames
    }

    /// The upstream's id of the answer: the first that is not empty.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.seen.id.as_deref()
    }

    /// The model that answers, as the upstream names it: the first that is not empty.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.seen.model.as_deref()
    }

    /// The tier that serves it.
    #[must_use]
    pub fn service_tier(&self) -> Option<&str> {
        self.seen.service_tier.as_deref()
    }

    /// The upstream's backend mark.
    #[must_use]
    pub fn system_fingerprint(&self) -> Option<&str> {
        self.seen.system_fingerprint.as_deref()
    }
}

impl Seen {
    /// Reads a frame; true where it has usage and no choice.
    fn read(&mut self, frame: Frame<'_>) -> Result<bool, Fault> {
        let data = trimmed(frame.data);
        if data.is_empty() || self.done {
            return Ok(false);
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(false);
        }
        self.frames += 1;
        if self.content && self.id.is_some() && frame.event.is_none() && !needs_reading(data) {
            return Ok(false);
        }
        let chunk: Chunk = match serde_json::from_str(data) {
            Ok(chunk) => chunk,
            // JSON of another shape is the host's own matter; what is no JSON is no stream.
            Err(error) => {
                return match serde_json::from_str::<serde::de::IgnoredAny>(data) {
                    Ok(_) => Ok(false),
                    Err(_) => Err(Fault::upstream(
                        Code::UpstreamBadResponse,
                        "The upstream's stream holds a frame that is not JSON; the answer was given up.",
                    )
                    .because(&error.to_string())),
                };
            }
        };
        Ok(self.take(chunk, data, frame.event == Some("error")))
    }

    fn take(&mut self, chunk: Chunk, data: &str, error_event: bool) -> bool {
        let keep = |slot: &mut Option<Box<str>>, new: Lenient| {
            if slot.is_none() {
                *slot = new.0.filter(|text| !text.is_empty());
            }
        };
        keep(&mut self.id, chunk.id);
        keep(&mut self.model, chunk.model);
        keep(&mut self.service_tier, chunk.service_tier);
        keep(&mut self.system_fingerprint, chunk.system_fingerprint);
        let usage = chunk.usage.or(chunk.x_groq.and_then(|x| x.usage));
        if let Some(usage) = usage {
            self.usage = Some(usage.normal());
        }
        let choices = chunk.choices.as_deref().unwrap_or_default();
        let in_choice = choices.iter().any(|c| c.error.0 || c.finish_reason.0.as_deref() == Some("error"));
        if chunk.error.0 || in_choice || error_event {
            self.failed = Some(error::fault_inside(&error::decode(200, data.as_bytes())));
            return false;
        }
        for choice in choices {
            if let Some(finish) = choice.finish_reason.0.as_deref().and_then(finish::read) {
                self.finish.get_or_insert(finish);
            }
            self.content |= choice.delta.as_ref().is_some_and(Delta::is_content);
        }
        usage.is_some() && chunk.choices.is_some_and(|choices| choices.is_empty())
    }
}

/// The quoted names of the members that tell something late. Built once: a searcher costs more than its search.
struct Names {
    error: Finder<'static>,
    finish_reason: Finder<'static>,
    usage: Finder<'static>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    error: Finder::new(b"\"error\""),
    finish_reason: Finder::new(b"\"finish_reason\""),
    usage: Finder::new(b"\"usage\""),
});

/// Whether a frame after the first content may tell something: an error, a finish reason or usage that is not
/// null, or that it is no object at all.
fn needs_reading(data: &str) -> bool {
    let (bytes, names) = (data.as_bytes(), &*NAMES);
    !(data.starts_with('{') && data.ends_with('}'))
        || names.error.find(bytes).is_some()
        || names_a_value(bytes, &names.finish_reason)
        || names_a_value(bytes, &names.usage)
}

fn names_a_value(bytes: &[u8], name: &Finder<'_>) -> bool {
    let mut rest = bytes;
    while let Some(at) = name.find(rest) {
        rest = rest.get(at + name.needle().len()..).unwrap_or_default();
        if rest.iter().find(|byte| !matches!(byte, b' ' | b':')) != Some(&b'n') {
            return true;
        }
    }
    false
}

/// `trim`, which most often has nothing to do.
fn trimmed(data: &str) -> &str {
    match data.as_bytes() {
        [b'!'..=b'~', .., b'!'..=b'~'] => data,
        _ => data.trim(),
    }
}
