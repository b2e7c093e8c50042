//! Whether offered tools are called, with which arguments, and how their results are quoted.

use serde_json::{Value, json};

use super::directive::{Directive, removed};
use super::hints::Hints;
use super::{Call, Choice, Prompt, Tool, Turn, schema};

/// Letters of each result that are quoted.
const RESULT_CHARS: usize = 200;
/// Parallel calls at most.
const CALLS_MAX: usize = 16;

/// The calls of the answer, none when it is text.
pub(crate) fn decide(prompt: &Prompt, directive: &Directive) -> Vec<Call> {
    if !directive.tools.is_empty() {
        let calls = directive.tools.iter().take(CALLS_MAX);
        return calls
            .map(|asked| {
                let arguments = if asked.arguments.is_null() { json!({}) } else { asked.arguments.clone() };
                Call { name: asked.name.clone(), arguments }
            })
            .collect();
    }
    let answered = prompt.turns.last().is_some_and(|turn| !turn.results.is_empty());
    let wants_text = directive.say.is_some() || directive.words.is_some() || directive.deltas.is_some();
    if answered || wants_text || prompt.tools.is_empty() || prompt.choice == Choice::Never {
        return Vec::new();
    }
    let text = removed(prompt.last_user_text());
    let mut calls = match &prompt.choice {
        Choice::Named(name) => {
            let tool = prompt.tools.iter().find(|tool| tool.name == *name);
            tool.map(|tool| vec![call(tool, &mut Hints::of(&text))]).unwrap_or_default()
        }
        choice => {
            let asked = asked_for(prompt, &text);
            match prompt.tools.first() {
                Some(first) if asked.is_empty() && *choice == Choice::Some => {
                    vec![call(first, &mut Hints::of(&text))]
                }
                _ => asked,
            }
        }
    };
    calls.truncate(if prompt.parallel { CALLS_MAX } else { 1 });
    calls
}

/// Tools that the text names after "call" or "use", in its order; else a weather tool, once per place.
fn asked_for(prompt: &Prompt, text: &str) -> Vec<Call> {
    let lower = text.to_lowercase();
    let verb = ["call ", "use ", "using ", "invoke "].iter().filter_map(|verb| lower.find(verb)).min();
    if let Some(after) = verb.and_then(|at| lower.get(at..)) {
        let mut named: Vec<(usize, &Tool)> = prompt
            .tools
            .iter()
            .filter_map(|tool| word_at(after, &tool.name.to_lowercase()).map(|at| (at, tool)))
            .collect();
        named.sort_by_key(|(at, _)| *at);
        if !named.is_empty() {
            let mut hints = Hints::of(text);
            return named.into_iter().map(|(_, tool)| call(tool, &mut hints)).collect();
        }
    }
    let weather = prompt.tools.iter().find(|tool| tool.name.to_lowercase().contains("weather"));
    let Some(tool) = weather.filter(|_| lower.contains("weather")) else { return Vec::new() };
    let mut hints = Hints::of(text);
    let times = hints.places.len().clamp(1, CALLS_MAX);
    (0..times).map(|_| call(tool, &mut hints)).collect()
}

/// Where `word` stands in `text` as a whole word.
fn word_at(text: &str, word: &str) -> Option<usize> {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = text.get(..*at).and_then(|front| front.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|back| back.chars().next());
        !word.is_empty() && !before.is_some_and(part) && !after.is_some_and(part)
    })
}

fn call(tool: &Tool, hints: &mut Hints) -> Call {
    let arguments = if tool.schema.is_object() { schema::example(&tool.schema, hints) } else { Value::Null };
    let arguments = if arguments.is_object() { arguments } else { json!({}) };
    Call { name: tool.name.clone(), arguments }
}

/// The answer after tool results: each by the name of its tool.
pub(crate) fn quote(prompt: &Prompt, turn: &Turn) -> String {
    let called: Vec<_> = prompt.turns.iter().flat_map(|turn| turn.calls.iter()).collect();
    let quoted: Vec<String> = turn
        .results
        .iter()
        .map(|(id, text)| {
            let name = called.iter().rev().find(|(known, _)| known == id).map_or(id, |(_, name)| name);
            let text: String = text.trim().chars().take(RESULT_CHARS).collect();
            format!("{name} said {text}")
        })
        .collect();
    format!("From the tools: {}.", quoted.join("; "))
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    fn prompt(text: &str) -> Prompt {
        let city = json!({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]});
        let mut prompt = Prompt::new("m");
        prompt.tools = vec![
            Tool { name: "get_weather".to_owned(), schema: city },
            Tool { name: "lookup".to_owned(), schema: Value::Null },
        ];
        let mut turn = Turn::new(Role::User);
        turn.say(text);
        prompt.turns.push(turn);
        prompt
    }

    fn names(text: &str) -> Vec<String> {
        decide(&prompt(text), &Directive::default()).into_iter().map(|call| call.name).collect()
    }

    #[test]
    fn tools_are_called_when_the_prompt_asks() {
        assert_eq!(names("Hello"), Vec::<String>::new());
        assert_eq!(names("please call lookup and get_weather"), ["lookup", "get_weather"]);
        assert_eq!(names("weather in Paris and Tokyo?"), ["get_weather", "get_weather"]);
        assert_eq!(names("use lookups"), Vec::<String>::new());
        let calls = decide(&prompt("weather in Paris"), &Directive::default());
        assert_eq!(calls[0].arguments, json!({"city":"Paris"}));
    }

    #[test]
    fn one_call_where_parallel_ones_are_not_wanted() {
        let mut prompt = prompt("call lookup and get_weather");
        prompt.parallel = false;
        assert_eq!(decide(&prompt, &Directive::default()).len(), 1);
        prompt.choice = Choice::Never;
        assert!(decide(&prompt, &Directive::default()).is_empty());
    }
}
