//! Why an answer ended: words and classes.

use domain::Finish;

/// The class of a wire word. An empty word is no reason.
pub(super) fn read(word: &str) -> Option<Finish> {
    Some(match word {
        "" => return None,
        "stop" | "eos" => Finish::Stop,
        "length" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        other => Finish::Other(other.into()),
    })
}

/// The wire word of a class. Never a word outside of OpenAI's list: a paused turn is an answer that is not
/// complete, and a reason without a class (a loss) is shown as the plain end.
pub(super) const fn write(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Other(_) => "stop",
        Finish::Length | Finish::Pause => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
    }
}
