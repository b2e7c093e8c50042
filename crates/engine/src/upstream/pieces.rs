//! A request body in pieces, written one after the other without being put together: a passed-through body is the
//! caller's own bytes around the few that were edited.

use bytes::Bytes;
use dialects::edit::Rope;
use http_body::{Body, Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// A body in pieces. Cheap to make of one piece.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// In reverse: the next piece is the last.
    left: Vec<Bytes>,
    bytes: u64,
}

impl Pieces {
    /// Length of what is left, in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.bytes
    }

    /// True where nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// All of it in one piece, for a provider that signs it.
    #[must_use]
    pub fn joined(&self) -> Bytes {
        if let [one] = self.left.as_slice() {
            return one.clone();
        }
        let mut all = Vec::with_capacity(usize::try_from(self.bytes).unwrap_or_default());
        for piece in self.left.iter().rev() {
            all.extend_from_slice(piece);
        }
        all.into()
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self { bytes: bytes.len() as u64, left: if bytes.is_empty() { Vec::new() } else { vec![bytes] } }
    }
}

impl From<Rope> for Pieces {
    fn from(rope: Rope) -> Self {
        let bytes = rope.len() as u64;
        let mut left = rope.into_pieces();
        left.retain(|piece| !piece.is_empty());
        left.reverse();
        Self { left, bytes }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.left.pop();
        self.bytes -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}
