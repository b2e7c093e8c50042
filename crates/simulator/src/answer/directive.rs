//! `[[sim {…}]]` in the last user message: what a test wants the answer to be.

use serde::Deserialize;
use serde_json::Value;

use super::Finish;
use crate::fault::FaultAction;

const OPENING: &str = "[[sim ";
/// Words that a directive may ask for.
const WORDS_MAX: usize = 1_000_000;

/// What a prompt asks of the simulator, all optional.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Directive {
    /// The text to answer.
    pub(crate) say: Option<String>,
    /// Tools to call, offered or not: `[{"name":"f","arguments":{}}]`.
    pub(crate) tools: Vec<Asked>,
    /// The reasoning to return.
    pub(crate) reasoning: Option<String>,
    /// Milliseconds between two deltas.
    pub(crate) pace_ms: Option<u64>,
    /// Text deltas of a stream; without `say` the text has that many words.
    pub(crate) deltas: Option<usize>,
    /// Words of made-up text.
    pub(crate) words: Option<usize>,
    /// `stop`, `length`, `tool_calls`, `content_filter` or `refusal`.
    pub(crate) finish: Option<String>,
    /// A fault for this exchange alone; scripted ones go first.
    pub(crate) fault: Option<FaultAction>,
}

/// A tool call asked for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Asked {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) arguments: Value,
}

impl Directive {
    /// The finish class asked for.
    pub(crate) fn finish(&self) -> Option<Finish> {
        match self.finish.as_deref()? {
            "stop" => Some(Finish::Stop),
            "length" => Some(Finish::Length),
            "tool_calls" => Some(Finish::Tools),
            "content_filter" => Some(Finish::Filtered),
            "refusal" => Some(Finish::Refused),
            _ => None,
        }
    }

    /// The text asked for: `say`, or so many words.
    pub(crate) fn text(&self) -> Option<String> {
        if let Some(say) = &self.say {
            return Some(say.clone());
        }
        let words = self.words.or(self.deltas)?.min(WORDS_MAX);
        let text: Vec<String> = (1..=words).map(|number| format!("w{number}")).collect();
        Some(text.join(" "))
    }
}

/// The directive in `text`; one that is no valid JSON counts as none.
pub(crate) fn of(text: &str) -> Directive {
    span(text).and_then(|(_, json, _)| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// `text` without its directive.
pub(crate) fn removed(text: &str) -> String {
    match span(text) {
        None => text.to_owned(),
        Some((before, _, after)) => format!("{before}{after}").trim().to_owned(),
    }
}

fn span(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once(OPENING)?;
    let (json, after) = rest.split_once("}]]")?;
    let end = json.len() + 1;
    Some((before, rest.get(..end)?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_is_read_and_removed() {
        let text = r#"Hello [[sim {"say":"hi","deltas":3}]] there"#;
        assert_eq!(of(text).say.as_deref(), Some("hi"));
        assert_eq!(removed(text), "Hello  there");
        assert_eq!(of("[[sim {broken}]]").say, None);
        assert_eq!(of(r#"[[sim {"deltas":3}]]"#).text().as_deref(), Some("w1 w2 w3"));
    }
}
