//! Edits of a body by byte range: what is not edited is forwarded as the same bytes.
//!
//! The list of edits that the gateway makes to a passed-through request is closed: the model's name,
//! `stream_options.include_usage` put in, the answer's token limit clamped or renamed.

use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// Up to this size an edited body is copied into one piece: one write beats four pieces.
const COPY_BELOW: usize = 16 * 1024;

/// A body in pieces, sent one after the other. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rope {
    pieces: Vec<Bytes>,
}

impl Rope {
    /// The pieces in order; none is empty.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The pieces in order.
    #[must_use]
    pub fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// True where there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// All bytes in one piece; copies unless it is one piece already.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        if let [one] = self.pieces.as_slice() {
            return one.clone();
        }
        let mut all = BytesMut::with_capacity(self.len());
        for piece in &self.pieces {
            all.extend_from_slice(piece);
        }
        all.freeze()
    }
}

/// A list of edits of one body. Edits must not overlap; one that does is dropped.
#[derive(Clone, Debug)]
pub struct Edits<'a> {
    body: &'a Bytes,
    list: Vec<(Range<usize>, Bytes)>,
}

impl<'a> Edits<'a> {
    /// No edits yet.
    #[must_use]
    pub const fn new(body: &'a Bytes) -> Self {
        Self { body, list: Vec::new() }
    }

    /// Puts `with` in the place of a range; an empty range is an insertion.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<Bytes>) {
        self.list.push((range, with.into()));
    }

    /// Removes a member of an object with one of its commas. `member` reaches from the key's quote to the
    /// value's end. Remove the members of one object from the last to the first, or only one.
    pub fn remove_member(&mut self, member: Range<usize>) {
        let blank = |byte: &u8| byte.is_ascii_whitespace();
        let after = self.body.get(member.end..).unwrap_or_default();
        let blanks = after.iter().take_while(|byte| blank(byte)).count();
        if after.get(blanks) == Some(&b',') {
            let more = after.iter().skip(blanks + 1).take_while(|byte| blank(byte)).count();
            self.replace(member.start..member.end + blanks + 1 + more, Bytes::new());
            return;
        }
        let before = self.body.get(..member.start).unwrap_or_default();
        let blanks = before.iter().rev().take_while(|byte| blank(byte)).count();
        let comma = before.len().checked_sub(blanks + 1).filter(|at| before.get(*at) == Some(&b','));
        self.replace(comma.unwrap_or(member.start)..member.end, Bytes::new());
    }

    /// The edited body. Without edits it is the body itself.
    #[must_use]
    pub fn apply(mut self) -> Rope {
        if self.list.is_empty() {
            return Rope { pieces: vec![self.body.clone()] };
        }
        self.list.sort_by_key(|(range, _)| (range.start, range.end));
        let mut pieces = Vec::with_capacity(self.list.len() * 2 + 1);
        let mut at = 0;
        for (range, with) in self.list {
            if range.start < at || range.end < range.start || range.end > self.body.len() {
                continue;
            }
            pieces.push(self.body.slice(at..range.start));
            pieces.push(with);
            at = range.end;
        }
        pieces.push(self.body.slice(at..));
        pieces.retain(|piece| !piece.is_empty());
        let rope = Rope { pieces };
        if rope.len() <= COPY_BELOW { Rope { pieces: vec![rope.to_bytes()] } } else { rope }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(body: &str, text: &str) -> Range<usize> {
        let at = body.find(text).expect("is in the body");
        at..at + text.len()
    }

    #[test]
    fn members_are_removed_with_one_comma() {
        for (body, text, want) in [
            (r#"{"a":1}"#, r#""a":1"#, "{}"),
            (r#"{"a":1, "b":2}"#, r#""a":1"#, r#"{"b":2}"#),
            (r#"{"a":1 , "b":2}"#, r#""b":2"#, r#"{"a":1 }"#),
            (r#"{"a":1,"b":2,"c":3}"#, r#""b":2"#, r#"{"a":1,"c":3}"#),
        ] {
            let bytes = Bytes::from_static(body.as_bytes());
            let mut edits = Edits::new(&bytes);
            edits.remove_member(member(body, text));
            assert_eq!(edits.apply().to_bytes(), want);
        }
    }

    #[test]
    fn big_parts_are_slices_of_the_body_and_small_bodies_are_one_piece() {
        let text = format!("{{\"model\":\"x\",\"p\":\"{}\"}}", "y".repeat(COPY_BELOW));
        let body = Bytes::from(text.clone());
        let mut edits = Edits::new(&body);
        edits.replace(9..12, Bytes::from_static(b"\"other\""));
        edits.replace(10..11, Bytes::from_static(b"overlaps"));
        let rope = edits.apply();
        assert_eq!(rope.to_bytes(), text.replacen("\"x\"", "\"other\"", 1));
        assert_eq!(rope.pieces().len(), 3);
        assert_eq!(rope.pieces()[2].as_ptr(), body.slice(12..).as_ptr());

        let small = Bytes::from_static(b"{\"model\":\"x\"}");
        let mut edits = Edits::new(&small);
        edits.replace(9..12, Bytes::from_static(b"\"z\""));
        assert_eq!(edits.apply().pieces(), [Bytes::from_static(b"{\"model\":\"z\"}")]);
        assert_eq!(Edits::new(&small).apply().pieces()[0].as_ptr(), small.as_ptr());
    }
}
