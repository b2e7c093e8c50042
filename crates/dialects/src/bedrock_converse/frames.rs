//! AWS event-stream frames: cut out of bytes that arrive split anywhere, and written.
//!
//! A frame is `total length (4) · headers length (4) · prelude CRC (4) · headers · payload · CRC (4)`.

use crate::framed::bad;
use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::{Buf as _, Bytes, BytesMut};
use domain::Fault;

/// Longest frame in bytes.
const MAX_FRAME: usize = 1 << 20;
/// Prelude with its CRC, and the CRC of the whole: no frame is shorter.
const MIN_FRAME: usize = 16;

/// Cuts frames out of a stream of bytes. Holds at most one frame.
#[derive(Debug, Default)]
pub(super) struct Frames {
    held: BytesMut,
}

/// One frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// `:event-type`, or `:exception-type`.
    pub(super) name: String,
    /// True for an exception or error.
    pub(super) is_exception: bool,
    /// `:error-message` of an error frame.
    pub(super) error_message: Option<String>,
    /// The payload.
    pub(super) payload: Bytes,
}

impl Frames {
    /// Takes bytes and hands out the frames that they complete.
    ///
    /// # Errors
    /// `upstream_bad_response` for a length out of bounds or a checksum that does not fit, or what
    /// `on_frame` returns.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        mut on_frame: impl FnMut(Frame) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        loop {
            let wanted = self.length()?.unwrap_or(4);
            let missing = wanted.saturating_sub(self.held.len());
            let taken = missing.min(bytes.len());
            let (now, later) = bytes.split_at(taken);
            self.held.extend_from_slice(now);
            bytes = later;
            if taken < missing {
                return Ok(());
            }
            if wanted >= MIN_FRAME {
                let mut whole = self.held.split().freeze();
                on_frame(read(&mut whole)?)?;
            }
        }
    }

    /// The length of the frame that is held, once its first four bytes are there.
    fn length(&self) -> Result<Option<usize>, Fault> {
        let Some(mut head) = self.held.get(..4) else { return Ok(None) };
        let total = head.get_u32() as usize;
        if (MIN_FRAME..=MAX_FRAME).contains(&total) {
            Ok(Some(total))
        } else {
            Err(bad(&format!("an event-stream frame of {total} bytes is out of bounds")))
        }
    }

    /// True between two frames.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

fn read(whole: &mut Bytes) -> Result<Frame, Fault> {
    let message = read_message_from(whole).map_err(|error| bad(&error.to_string()))?;
    let mut frame = Frame { payload: message.payload().clone(), ..Frame::default() };
    for header in message.headers() {
        let Ok(value) = header.value().as_string() else { continue };
        match header.name().as_str() {
            ":message-type" => frame.is_exception = value.as_str() != "event",
            ":event-type" | ":exception-type" | ":error-code" => frame.name = value.as_str().to_owned(),
            ":error-message" => frame.error_message = Some(value.as_str().to_owned()),
            _ => {}
        }
    }
    Ok(frame)
}

/// Writes an event or exception with a JSON payload. A payload that does not fit a frame is not written;
/// false then.
pub(super) fn write(kind: &'static str, name: &str, payload: String, out: &mut Vec<u8>) -> bool {
    let text = |value: &str| HeaderValue::String(value.to_owned().into());
    let name_header = if kind == "event" { ":event-type" } else { ":exception-type" };
    let message = Message::new(payload)
        .add_header(Header::new(name_header, text(name)))
        .add_header(Header::new(":content-type", text("application/json")))
        .add_header(Header::new(":message-type", text(kind)));
    let mut bytes = Vec::new();
    let fits = write_message_to(&message, &mut bytes).is_ok();
    if fits {
        out.append(&mut bytes);
    }
    fits
}
