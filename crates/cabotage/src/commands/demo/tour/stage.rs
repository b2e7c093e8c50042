//! The transcript: what is shown, masked, and what was expected of it.

use crate::http1::Answer;
use serde_json::Value;
use std::process::ExitCode;

/// Words before ids, and what an id is made of.
const IDS: [&str; 8] = ["call_", "dec_", "chatcmpl-", "conv_", "resp_", "msg_", "rs_", "fc_"];
/// Members of an object that tell when it was made, in Unix seconds.
const TIMES: [&str; 1] = ["\"created_at\":"];
/// Longest line of the transcript, in characters.
const LINE_MAX: usize = 640;
/// Longest text of an answer that is shown, in characters.
const TEXT_MAX: usize = 200;

/// What is shown and what was expected.
#[derive(Default)]
pub(super) struct Stage {
    passed: u32,
    failed: u32,
    /// What is masked in every line: as it is, and as it is shown.
    masks: Vec<(String, String)>,
}

impl Stage {
    /// From now on `text` is shown as `mask`.
    pub(super) fn mask(&mut self, text: &str, mask: &str) {
        self.masks.push((text.to_owned(), mask.to_owned()));
        // The longest first: an address is part of a URL.
        self.masks.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// Shows lines.
    pub(super) fn say(&self, text: &str) {
        if text.is_empty() {
            println!();
        }
        for line in text.lines() {
            println!("{}", self.masked(line));
        }
    }

    /// Begins a scene.
    pub(super) fn title(&mut self, title: &str) {
        println!("\n## {title}\n");
    }

    /// Shows a command.
    pub(super) fn command(&self, line: &str) {
        println!("$ {}", self.masked(line));
    }

    /// Records an expectation.
    pub(super) fn expect(&mut self, holds: bool, what: &str) {
        let mark = if holds { "✓" } else { "✗ FAILED:" };
        if holds {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        println!("  {mark} {}", self.masked(what));
    }

    /// Shows an answer: status, our headers, and of the body what was said or what went wrong.
    pub(super) fn answer(&self, answer: &Answer) {
        let reason =
            http::StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
        self.say(&format!("HTTP/1.1 {} {}", answer.status, reason.unwrap_or_default()));
        for (name, value) in &answer.headers {
            let shown = name.as_str().starts_with(domain::product::HEADER_PREFIX)
                || name == http::header::RETRY_AFTER;
            if let (true, Ok(value)) = (shown, value.to_str()) {
                self.say(&format!("{name}: {value}"));
            }
        }
        self.say("");
        self.say(&said(answer));
    }

    /// Shows the answer to a turn: status, where it ran, what was lost, and what was said.
    pub(super) fn turn(&self, answer: &Answer) {
        self.say(&format!("HTTP/1.1 {}", answer.status));
        for name in ["x-cabotage-deployment", "x-cabotage-translation-loss"] {
            if !answer.header(name).is_empty() {
                self.say(&format!("{name}: {}", answer.header(name)));
            }
        }
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return };
        if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
            self.say(&error.to_string());
        }
        for item in body.get("output").and_then(Value::as_array).into_iter().flatten() {
            let word = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let text: String = match word("/type") {
                "function_call" => format!("{} {}", word("/name"), word("/arguments")),
                "reasoning" => format!("{}{}", word("/summary/0/text"), word("/content/0/text")),
                _ => word("/content/0/text").to_owned(),
            };
            self.say(&format!("{}: {}", word("/type"), text.chars().take(TEXT_MAX).collect::<String>()));
        }
    }

    /// Prints the count. Exit 1 where something failed.
    pub(super) fn end(self) -> ExitCode {
        println!("\n{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) }
    }

    fn masked(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (text, mask) in &self.masks {
            line = line.replace(text, mask);
        }
        let line = IDS.iter().fold(line, |line, word| without_ids(&line, word));
        let line = TIMES.iter().fold(line, |line, member| without_number(&line, member));
        let line = without_times(&line);
        match line.char_indices().nth(LINE_MAX) {
            Some((end, _)) => format!("{}…", line.split_at_checked(end).map_or("", |(kept, _)| kept)),
            None => line,
        }
    }
}

/// Instants of the run itself, which have fractions of a second (those of terms have none), as `(time)`.
fn without_times(line: &str) -> String {
    let is_time = |word: &str| {
        word.len() > 21
            && word.ends_with('Z')
            && word.contains('.')
            && word.parse::<jiff::Timestamp>().is_ok()
    };
    let words = line.split(' ').map(|word| {
        let bare = word.trim_end_matches([':', ',']);
        if is_time(bare) { word.replace(bare, "(time)") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `"created_at":1795275597` → `"created_at":(time)`.
fn without_number(line: &str, member: &str) -> String {
    match line.split_once(member) {
        Some((before, after)) => {
            format!("{before}{member}(time){}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line.to_owned(),
    }
}

/// `call_01a1fe…` → `call_…`.
fn without_ids(line: &str, word: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(word) {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(after.len());
        out.push_str(before);
        out.push_str(word);
        // Words such as `call_id` are no ids.
        rest = if end >= 8 {
            out.push('…');
            after.split_at_checked(end).map_or("", |(_, rest)| rest)
        } else {
            after
        };
    }
    out.push_str(rest);
    out
}

/// The text of a reply with its usage, shortened; an error whole.
pub(super) fn said(answer: &Answer) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return answer.text().chars().take(TEXT_MAX).collect();
    };
    if body.get("error").is_some() {
        return body.to_string();
    }
    let text = body.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default();
    let text: String = text.chars().take(TEXT_MAX).collect();
    let tokens =
        |name: &str| body.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).unwrap_or_default();
    format!(
        "{{… \"content\":{} … \"usage\":{{\"prompt_tokens\":{},\"completion_tokens\":{} …}}}}",
        Value::from(text),
        tokens("prompt_tokens"),
        tokens("completion_tokens")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_addresses_and_folders_are_masked() {
        let mut stage = Stage::default();
        stage.mask("127.0.0.1:40001", "127.0.0.1:8080");
        stage.mask("http://127.0.0.1:40001/x", "X");
        assert_eq!(
            stage.masked("GET http://127.0.0.1:40001/x and 127.0.0.1:40001"),
            "GET X and 127.0.0.1:8080"
        );
        assert_eq!(
            stage.masked("x-cabotage-call-id: call_01a1fe02016d7cc193e4451f4264faad, dec_19fc4ac3f8a5c9d0"),
            "x-cabotage-call-id: call_…, dec_…"
        );
        assert_eq!(stage.masked("tool_call_id, call_id"), "tool_call_id, call_id");
        assert_eq!(
            stage.masked(r#"{"id":"conv_01a1fec3a4f875a8acb59fbc0c19d93a","created_at":1795275597,"m":{}}"#),
            r#"{"id":"conv_…","created_at":(time),"m":{}}"#
        );
        let line = stage.masked("  1 at 2026-11-21T12:08:51.936612Z: done, until 2026-12-01T00:00:00Z");
        assert_eq!(line, "  1 at (time): done, until 2026-12-01T00:00:00Z");
        assert_eq!(stage.masked(&"x".repeat(900)).chars().count(), LINE_MAX + 1);
    }
}
