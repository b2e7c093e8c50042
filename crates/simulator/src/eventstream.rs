//! AWS binary event streams: one JSON payload per message, with the checksums AWS demands.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use serde_json::Value;

/// An event of this type.
pub(crate) fn event(kind: &'static str, payload: &Value) -> Bytes {
    frame([(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")], payload)
}

/// An exception of this type, such as `throttlingException`.
pub(crate) fn exception(kind: &'static str, message: &str) -> Bytes {
    let payload = serde_json::json!({ "message": message });
    frame(
        [(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")],
        &payload,
    )
}

fn frame(headers: [(&'static str, &'static str); 3], payload: &Value) -> Bytes {
    let mut message = Message::new(Bytes::from(payload.to_string()));
    for (name, value) in headers {
        message = message.add_header(Header::new(name, HeaderValue::String(value.into())));
    }
    let mut bytes = Vec::new();
    match write_message_to(&message, &mut bytes) {
        Ok(()) => bytes.into(),
        Err(error) => {
            tracing::warn!(%error, "simulator: event too large for a frame");
            Bytes::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_eventstream::frame::read_message_from;

    #[test]
    fn a_frame_reads_back_and_a_damaged_one_does_not() {
        let bytes = event("messageStart", &serde_json::json!({"role": "assistant"}));
        let message = read_message_from(bytes.clone()).unwrap();
        assert_eq!(message.payload().as_ref(), br#"{"role":"assistant"}"#);
        let mut damaged = bytes.to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(read_message_from(damaged.as_slice()).is_err());
    }
}
