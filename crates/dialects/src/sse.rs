//! Server-sent events: bytes, split anywhere, into frames, and JSON into frames.
//!
//! The reader follows the `text/event-stream` grammar of the HTML standard (CR, LF and CRLF, BOM, comments,
//! several `data` lines) with two deliberate differences: bytes that are not UTF-8 are an error instead of
//! U+FFFD, because a model's answer must not change in transit, and a last frame without its blank line is
//! delivered at the end, because hosts forget it.

use domain::{Code, Fault};
use memchr::memchr2;

/// Longest line, and longest `data` of one frame, in bytes.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// One dispatched frame. Borrowed: it is gone when the callback returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event` field, where there was one.
    pub event: Option<&'a str>,
    /// The `data` lines, joined with line feeds. May be empty.
    pub data: &'a str,
    /// Where the frame ends in the bytes of this `push`: just behind its blank line. At [`Framer::end`]: 0.
    pub end: usize,
}

/// Cuts a byte stream into frames. Holds at most one unfinished line and one unfinished frame.
#[derive(Debug, Default)]
pub struct Framer {
    line: Vec<u8>,
    after_cr: bool,
    past_start: bool,
    event: String,
    data: String,
    has_data: bool,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl Framer {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and calls `on_frame` for every frame that they complete. A frame that arrives
    /// whole and has one `data` line (the rule with model APIs) is not copied.
    ///
    /// # Errors
    /// `upstream_bad_response` for a line or frame above [`MAX_FRAME_BYTES`] and for bytes that are not
    /// UTF-8; or what `on_frame` returns. After an error the framer must not be used again.
    pub fn push<F>(&mut self, bytes: &[u8], mut on_frame: F) -> Result<(), Fault>
    where
        F: FnMut(Frame<'_>) -> Result<(), Fault>,
    {
        let mut at = 0;
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            if bytes.first() == Some(&b'\n') {
                at = 1;
            }
        }
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(length) = memchr2(b'\r', b'\n', rest) else {
                if self.line.len() + rest.len() > MAX_FRAME_BYTES {
                    return Err(too_long());
                }
                self.line.extend_from_slice(rest);
                return Ok(());
            };
            let (line, next) = (rest.get(..length).unwrap_or_default(), at + length + 1);
            at = next;
            if rest.get(length) == Some(&b'\r') {
                match bytes.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if self.line.is_empty() {
                self.take_line(line, bytes, &mut at, &mut on_frame)?;
            } else {
                if self.line.len() + line.len() > MAX_FRAME_BYTES {
                    return Err(too_long());
                }
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                let outcome = self.take_line(&whole, bytes, &mut at, &mut on_frame);
                whole.clear();
                self.line = whole;
                outcome?;
            }
        }
        Ok(())
    }

    /// The stream has ended: delivers a last frame that lacks its blank line.
    ///
    /// # Errors
    /// As [`Framer::push`].
    pub fn end<F>(&mut self, mut on_frame: F) -> Result<(), Fault>
    where
        F: FnMut(Frame<'_>) -> Result<(), Fault>,
    {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.take_line(&line, &[], &mut 0, &mut on_frame)?;
        }
        self.dispatch(0, &mut on_frame)
    }

    /// True where an unfinished line or frame is held.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        !self.line.is_empty() || self.has_data
    }

    /// One whole line; `at` stands behind its end in `bytes`.
    fn take_line<F>(
        &mut self,
        line: &[u8],
        bytes: &[u8],
        at: &mut usize,
        on_frame: &mut F,
    ) -> Result<(), Fault>
    where
        F: FnMut(Frame<'_>) -> Result<(), Fault>,
    {
        if line.len() > MAX_FRAME_BYTES {
            return Err(too_long());
        }
        let line = if self.past_start { line } else { line.strip_prefix(BOM).unwrap_or(line) };
        self.past_start = true;
        if line.is_empty() {
            return self.dispatch(*at, on_frame);
        }
        let text = simdutf8::basic::from_utf8(line).map_err(|_| not_utf8())?;
        // Nearly every line is one of data, so that name is not searched for.
        let (field, value) = match text.strip_prefix("data:") {
            Some(value) => ("data", value),
            None => text.split_once(':').unwrap_or((text, "")),
        };
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.take_data(value, bytes, at, on_frame),
            "event" => {
                self.event.clear();
                self.event.push_str(value);
                Ok(())
            }
            // Comments (an empty field name), `id`, `retry` and unknown fields say nothing to us.
            _ => Ok(()),
        }
    }

    fn take_data<F>(
        &mut self,
        value: &str,
        bytes: &[u8],
        at: &mut usize,
        on_frame: &mut F,
    ) -> Result<(), Fault>
    where
        F: FnMut(Frame<'_>) -> Result<(), Fault>,
    {
        if !self.has_data && !self.after_cr {
            let blank = match bytes.get(*at..).unwrap_or_default() {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                _ => 0,
            };
            if blank > 0 {
                *at += blank;
                let event = Some(self.event.as_str()).filter(|event| !event.is_empty());
                let outcome = on_frame(Frame { event, data: value, end: *at });
                self.event.clear();
                return outcome;
            }
        }
        if self.data.len() + value.len() + 1 > MAX_FRAME_BYTES {
            return Err(too_long());
        }
        if self.has_data {
            self.data.push('\n');
        }
        self.data.push_str(value);
        self.has_data = true;
        Ok(())
    }

    fn dispatch<F>(&mut self, end: usize, on_frame: &mut F) -> Result<(), Fault>
    where
        F: FnMut(Frame<'_>) -> Result<(), Fault>,
    {
        let outcome = if self.has_data {
            let event = Some(self.event.as_str()).filter(|event| !event.is_empty());
            on_frame(Frame { event, data: &self.data, end })
        } else {
            Ok(())
        };
        self.event.clear();
        self.data.clear();
        self.has_data = false;
        outcome
    }
}

fn too_long() -> Fault {
    Fault::upstream(
        Code::UpstreamBadResponse,
        "The upstream sent a stream line or frame above 1 MiB; the answer was given up.",
    )
}

fn not_utf8() -> Fault {
    Fault::upstream(
        Code::UpstreamBadResponse,
        "The upstream's stream is not valid UTF-8; the answer was given up.",
    )
}

/// Appends one `data:` frame. `json` is one JSON text; line breaks between its tokens become blanks, so the
/// frame is one line whatever the text looks like.
pub fn write_data(out: &mut Vec<u8>, json: &str) {
    out.extend_from_slice(b"data: ");
    write_one_line(out, json);
    out.extend_from_slice(b"\n\n");
}

/// Appends one frame with an event name, which is a word of the dialect, never input.
pub fn write_event(out: &mut Vec<u8>, name: &'static str, json: &str) {
    out.extend_from_slice(b"event: ");
    write_one_line(out, name);
    out.push(b'\n');
    write_data(out, json);
}

/// Appends a comment, which every client skips: a sign of life.
pub fn write_comment(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b": ");
    write_one_line(out, text);
    out.extend_from_slice(b"\n\n");
}

/// Copies `text` without CR, LF and NUL. In JSON they stand between tokens only, so nothing is changed.
fn write_one_line(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    if memchr::memchr3(b'\r', b'\n', 0, text.as_bytes()).is_some() {
        for byte in out.iter_mut().skip(start) {
            if matches!(*byte, b'\r' | b'\n' | 0) {
                *byte = b' ';
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Seen = Vec<(Option<String>, String)>;

    fn read(pieces: &[&[u8]]) -> Result<Seen, Fault> {
        let mut framer = Framer::new();
        let mut seen = Vec::new();
        let mut take = |frame: Frame<'_>| {
            seen.push((frame.event.map(str::to_owned), frame.data.to_owned()));
            Ok(())
        };
        for piece in pieces {
            framer.push(piece, &mut take)?;
        }
        framer.end(&mut take)?;
        Ok(seen)
    }

    fn frame(event: Option<&str>, data: &str) -> (Option<String>, String) {
        (event.map(str::to_owned), data.to_owned())
    }

    #[test]
    fn all_line_ends_comments_bom_and_a_missing_blank_line() {
        let text = "\u{feff}: OPENROUTER PROCESSING\r\n\r\ndata: {\"a\":1}\r\n\r\nevent: x\ndata:b\ndata: c\n\n:\n\ndata\rid: 7\r\rdata: last";
        let want =
            vec![frame(None, "{\"a\":1}"), frame(Some("x"), "b\nc"), frame(None, ""), frame(None, "last")];
        assert_eq!(read(&[text.as_bytes()]), Ok(want.clone()));
        for cut in 0..text.len() {
            let (left, right) = text.as_bytes().split_at(cut);
            assert_eq!(read(&[left, right]).as_ref(), Ok(&want), "cut at {cut}");
        }
        let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(&single), Ok(want));
    }

    #[test]
    fn the_end_of_a_frame_is_where_its_bytes_end() {
        let text = b"data: a\n\ndata: b\r\n\r\n: c\n\ndata: d\ndata: e\n\n";
        let mut ends = Vec::new();
        let outcome = Framer::new().push(text, |frame| {
            ends.push(frame.end);
            Ok(())
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(ends, vec![9, 20, text.len()]);
    }

    #[test]
    fn characters_split_at_any_byte_stay_whole_and_bad_utf8_is_an_error() {
        let text = "data: Grüße 🦀 日本\n\n";
        for cut in 0..text.len() {
            let (left, right) = text.as_bytes().split_at(cut);
            assert_eq!(read(&[left, right]), Ok(vec![frame(None, "Grüße 🦀 日本")]));
        }
        let outcome = read(&[b"data: \xff\xfe\n\n"]);
        assert_eq!(outcome.map_err(|fault| fault.code), Err(Code::UpstreamBadResponse));
    }

    #[test]
    fn a_line_or_frame_above_the_bound_is_an_error() {
        let line = vec![b'x'; MAX_FRAME_BYTES / 4 + 1];
        let mut framer = Framer::new();
        let outcome = (0..8).try_for_each(|_| framer.push(&line, |_| Ok(())));
        assert_eq!(outcome.map_err(|fault| fault.code), Err(Code::UpstreamBadResponse));

        let mut framer = Framer::new();
        let line = format!("data: {}\n", "x".repeat(MAX_FRAME_BYTES / 4));
        let outcome = (0..8).try_for_each(|_| framer.push(line.as_bytes(), |_| Ok(())));
        assert_eq!(outcome.map_err(|fault| fault.code), Err(Code::UpstreamBadResponse));
    }

    #[test]
    fn what_is_written_is_one_frame_whatever_stands_in_it() {
        let mut out = Vec::new();
        write_data(&mut out, "{\n  \"a\": \"x\\n\\nevent: forged\"\r\n}");
        write_event(&mut out, "message_stop", "{}");
        write_comment(&mut out, "keep\nalive");
        let seen = read(&[&out]);
        assert_eq!(
            seen,
            Ok(vec![
                frame(None, "{   \"a\": \"x\\n\\nevent: forged\"  }"),
                frame(Some("message_stop"), "{}")
            ])
        );
    }

    fn cut_up<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
    }

    /// What another reader says of the same bytes, in the same pieces.
    fn oracle(pieces: &[&[u8]]) -> Seen {
        use futures_util::{FutureExt, StreamExt};
        let pieces: Vec<Result<bytes::Bytes, std::convert::Infallible>> =
            pieces.iter().map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
        let stream = sseer::event_stream::EventStream::new(futures_util::stream::iter(pieces));
        let events: Vec<_> = stream.collect().now_or_never().expect("no piece is waited for");
        events
            .into_iter()
            .map(|event| event.expect("an event"))
            .map(|event| {
                let name = Some(event.event.to_string()).filter(|name| name != "message");
                (name, event.data.to_string())
            })
            .collect()
    }

    proptest! {
        #[test]
        fn another_reader_sees_the_same(
            lines in prop::collection::vec(
                prop_oneof![
                    Just("\n".to_owned()),
                    "data: ?[a-zé\u{1F980}:{}]{1,12}\n",
                    "event: ?[a-z]{1,6}\r\n",
                    ": ?[a-z]{0,6}\n",
                ],
                0..24,
            ),
            cuts in prop::collection::vec(0_usize..400, 0..8),
        ) {
            // It gives up a last frame without a blank line and calls an unnamed event `message`.
            let text = lines.concat() + "\n";
            let bytes = text.as_bytes();
            let pieces = cut_up(bytes, &cuts);
            let ours: Seen = read(&pieces)
                .expect("a stream")
                .into_iter()
                .map(|(name, data)| (name.filter(|name| name != "message"), data))
                .collect();
            prop_assert_eq!(ours, oracle(&pieces));
        }

        #[test]
        fn any_split_gives_the_same_frames(
            lines in prop::collection::vec(
                prop_oneof![
                    Just(String::new()),
                    "data: ?[a-zé\u{1F980}:{} ]{0,12}",
                    "event: ?[a-z]{0,6}",
                    ": ?[a-z]{0,6}",
                    "[a-z]{1,4}",
                ],
                0..24,
            ),
            ends in prop::collection::vec(0_usize..3, 24),
            cuts in prop::collection::vec(0_usize..400, 0..8),
        ) {
            let mut text = String::new();
            for (line, end) in lines.iter().zip(&ends) {
                text.push_str(line);
                text.push_str(["\n", "\r\n", "\r"].get(*end).copied().unwrap_or("\n"));
            }
            let bytes = text.as_bytes();
            let pieces = cut_up(bytes, &cuts);
            prop_assert_eq!(read(&pieces), read(&[bytes]));
        }
    }
}
