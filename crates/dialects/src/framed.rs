//! A streamed answer in SSE frames that names its own end.

use crate::{StreamDecoder, sse::Framer};
use domain::{Code, Event, Fault};
use std::fmt;

/// What a dialect makes of its frames.
pub(crate) trait Frames: Default + fmt::Debug + Send {
    /// The frame without which the stream broke off, for messages.
    const LAST: &'static str;

    /// Takes the data of a frame, appends the events that it says.
    ///
    /// # Errors
    /// `upstream_bad_response` where it is not of the dialect.
    fn frame(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Fault>;

    /// Whether the answer has ended, or failed: nothing after it counts. The decoder sets it where the stream
    /// broke off.
    fn over(&mut self) -> &mut bool;
}

/// Reads such an answer.
#[derive(Debug)]
pub(crate) struct Decoder<F> {
    framer: Framer,
    frames: F,
}

impl<F: Frames> Decoder<F> {
    pub(crate) fn new() -> Self {
        Self { framer: Framer::new(), frames: F::default() }
    }
}

impl<F: Frames> StreamDecoder for Decoder<F> {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Self { framer, frames } = self;
        if *frames.over() {
            return Ok(());
        }
        framer.push(bytes, |frame| frames.frame(frame.data, out))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Self { framer, frames } = self;
        if *frames.over() {
            return Ok(());
        }
        framer.end(|frame| frames.frame(frame.data, out))?;
        if std::mem::replace(frames.over(), true) {
            return Ok(());
        }
        Err(bad(&format!("the stream ended without `{}`", F::LAST)))
    }
}

/// A stream that is not of its dialect; what of it, for the log.
pub(crate) fn bad(detail: &str) -> Fault {
    Fault::upstream(Code::UpstreamBadResponse, "the upstream's stream broke off or is not of its dialect")
        .because(detail)
}
