//! The model's "brain": a prompt in neutral form becomes an answer, by rules and without chance.
//!
//! In this order: a directive `[[sim {…}]]` in the last user message is obeyed; tool results are quoted;
//! an offered tool is called when the prompt asks; a JSON schema is obeyed; else the answer says the
//! model, how many messages and images it saw, and the last user text. Same request, same answer.

mod directive;
mod hints;
mod schema;
mod tokens;
mod tools;

use serde_json::Value;

pub(crate) use directive::Directive;
pub(crate) use tokens::{count, grouped, pieces};

use crate::exchange::Cloud;
use crate::journal::ReportedUsage;
use hints::Hints;

/// Letters of the last user text that an answer echoes.
const ECHO_CHARS: usize = 200;
/// System prompts of at least so many tokens are cached.
const CACHED_TOKENS_MIN: u64 = 1024;
/// Tokens charged per image.
const IMAGE_TOKENS: u64 = 85;
/// Tokens charged per message for its frame.
const TURN_TOKENS: u64 = 3;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The user, and tools in the dialects that send their results as the user.
    User,
    /// The model.
    Assistant,
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) role: Role,
    pub(crate) text: String,
    pub(crate) images: u64,
    /// Tool results: id and text.
    pub(crate) results: Vec<(String, String)>,
    /// Tool calls: id and name.
    pub(crate) calls: Vec<(String, String)>,
}

impl Turn {
    pub(crate) fn new(role: Role) -> Self {
        Self { role, text: String::new(), images: 0, results: Vec::new(), calls: Vec::new() }
    }

    /// Appends text, on a line of its own.
    pub(crate) fn say(&mut self, text: &str) {
        if !self.text.is_empty() && !text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }
}

/// An offered tool.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// JSON schema of its arguments; `Null` when it takes none.
    pub(crate) schema: Value,
}

/// Which tools may or must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Auto,
    Never,
    Some,
    Named(String),
}

/// The form asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    Text,
    /// Any JSON object.
    Object,
    /// JSON that obeys a schema.
    Schema(Value),
}

/// A request in neutral form.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) model: String,
    pub(crate) system: String,
    pub(crate) turns: Vec<Turn>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    pub(crate) parallel: bool,
    /// Effort or budget asked for, as text; `None`: no reasoning.
    pub(crate) effort: Option<String>,
    pub(crate) format: Format,
    pub(crate) stop: Vec<String>,
    pub(crate) max_tokens: Option<u64>,
    /// Which of several candidates this is, from 0.
    pub(crate) candidate: u64,
    /// How this cloud caches prompts.
    pub(crate) caching: Caching,
}

/// How a cloud caches prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Long prefixes by themselves.
    Automatic,
    /// Marked prefixes only, and writing is counted.
    Marked,
    /// Not at all.
    Off,
}

impl Prompt {
    pub(crate) fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            system: String::new(),
            turns: Vec::new(),
            tools: Vec::new(),
            choice: Choice::Auto,
            parallel: true,
            effort: None,
            format: Format::Text,
            stop: Vec::new(),
            max_tokens: None,
            candidate: 0,
            caching: Caching::Off,
        }
    }

    /// The text of the last user message that has any.
    pub(crate) fn last_user_text(&self) -> &str {
        let spoken = self.turns.iter().rev().find(|turn| turn.role == Role::User && !turn.text.is_empty());
        spoken.map_or("", |turn| turn.text.as_str())
    }
}

/// A tool call of the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// Why the answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Tools,
    /// This stop sequence was met.
    Sequence(String),
    Filtered,
    Refused,
}

/// What the model says.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) reasoning: Option<String>,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Finish,
    pub(crate) usage: ReportedUsage,
    /// Stream the text in exactly so many deltas.
    pub(crate) deltas: Option<usize>,
    pub(crate) directive: Directive,
}

impl Answer {
    /// The text in the pieces that a stream sends.
    pub(crate) fn text_pieces(&self) -> Vec<&str> {
        tokens::grouped(&self.text, self.deltas)
    }

    /// The reasoning in pieces, empty without any.
    pub(crate) fn reasoning_pieces(&self) -> Vec<&str> {
        self.reasoning.as_deref().map(pieces).unwrap_or_default()
    }
}

/// The answer to `prompt` on `cloud`.
pub(crate) fn plan(cloud: &Cloud, prompt: &Prompt) -> Answer {
    let mut directive = directive::of(prompt.last_user_text());
    if prompt.turns.last().is_some_and(|turn| !turn.results.is_empty()) {
        // It was obeyed before the tools ran; again would never end.
        directive =
            Directive { pace_ms: directive.pace_ms, reasoning: directive.reasoning, ..Directive::default() };
    }
    let reasoning = directive.reasoning.clone().or_else(|| {
        let effort = prompt.effort.as_ref()?;
        Some(format!("Weighing {} messages with effort {effort} before answering.", prompt.turns.len()))
    });
    let calls = tools::decide(prompt, &directive);
    let mut text =
        if calls.is_empty() { words(prompt, &directive) } else { directive.say.clone().unwrap_or_default() };
    if prompt.candidate > 0 && calls.is_empty() && prompt.format == Format::Text {
        text.push_str(&format!(" (candidate {})", prompt.candidate));
    }
    let mut finish = if calls.is_empty() { Finish::Stop } else { Finish::Tools };
    if let Some((at, sequence)) = first_stop(&text, &prompt.stop) {
        text.truncate(at);
        finish = Finish::Sequence(sequence);
    }
    let thought = reasoning.as_deref().map_or(0, count);
    if let Some(max) = prompt.max_tokens
        && calls.is_empty()
        && let Some(end) = tokens::end_of(&text, max.saturating_sub(thought))
    {
        text.truncate(end);
        finish = Finish::Length;
    }
    if let Some(forced) = directive.finish() {
        finish = forced;
    }
    let called: u64 = calls.iter().map(|call| count(&call.name) + count(&call.arguments.to_string())).sum();
    let mut usage = input_usage(cloud, prompt);
    usage.reasoning = thought;
    usage.output = thought + count(&text) + called;
    Answer { reasoning, text, calls, finish, usage, deltas: directive.deltas, directive }
}

/// What is said when no tool is called.
fn words(prompt: &Prompt, directive: &Directive) -> String {
    if let Some(text) = directive.text() {
        return text;
    }
    let last = prompt.turns.last();
    if let Some(turn) = last.filter(|turn| !turn.results.is_empty()) {
        if let Format::Schema(wanted) = &prompt.format {
            return schema::example(wanted, &mut Hints::of(&turn.results_text())).to_string();
        }
        return tools::quote(prompt, turn);
    }
    let text = directive::removed(prompt.last_user_text());
    match &prompt.format {
        Format::Schema(wanted) => schema::example(wanted, &mut Hints::of(&text)).to_string(),
        Format::Object => serde_json::json!({ "answer": short(&text), "model": prompt.model }).to_string(),
        Format::Text => {
            let images: u64 = prompt.turns.iter().map(|turn| turn.images).sum();
            format!(
                "Simulated answer from {}: {} messages, {images} images. You said: {}",
                prompt.model,
                prompt.turns.len(),
                short(&text)
            )
        }
    }
}

impl Turn {
    fn results_text(&self) -> String {
        self.results.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// The first 200 letters of `text`.
fn short(text: &str) -> String {
    text.trim().chars().take(ECHO_CHARS).collect()
}

fn first_stop(text: &str, stops: &[String]) -> Option<(usize, String)> {
    stops
        .iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| text.find(stop.as_str()).map(|at| (at, stop.clone())))
        .min_by_key(|(at, _)| *at)
}

/// Input tokens: of the system prompt, of each turn plus 3, of each tool's name and schema, 85 per image.
fn input_usage(cloud: &Cloud, prompt: &Prompt) -> ReportedUsage {
    let system = count(&prompt.system);
    let turns: u64 = prompt
        .turns
        .iter()
        .map(|turn| {
            let results: u64 = turn.results.iter().map(|(_, text)| count(text)).sum();
            let calls: u64 = turn.calls.iter().map(|(_, name)| count(name)).sum();
            TURN_TOKENS + count(&turn.text) + results + calls + turn.images * IMAGE_TOKENS
        })
        .sum();
    let tools: u64 =
        prompt.tools.iter().map(|tool| count(&tool.name) + count(&tool.schema.to_string())).sum();
    let mut usage = ReportedUsage { input: system + turns + tools, ..ReportedUsage::default() };
    if prompt.caching != Caching::Off && system >= CACHED_TOKENS_MIN && prompt.candidate == 0 {
        if cloud.remembers(&prompt.model, &prompt.system) {
            usage.cached = system;
        } else if prompt.caching == Caching::Marked {
            usage.cache_written = system;
        }
    }
    usage
}
