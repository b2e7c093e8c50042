//! URLs of the `generateContent` family, which AI Studio and Google's cloud share.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands for itself in a path segment.
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as one path segment: a slash or colon in it cannot leave the segment.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The method that generates, on the path of a model. A stream without `alt=sse` would be one JSON array.
pub(crate) fn generate(model: &str, stream: bool) -> String {
    if stream { format!("{model}:streamGenerateContent?alt=sse") } else { format!("{model}:generateContent") }
}
