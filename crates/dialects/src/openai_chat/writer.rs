//! Writes JSON member by member, so that what is carried as text (a tool's schema) goes out as the same
//! text, with the order of its keys.

use domain::Raw;
use serde::Serialize;

/// An object that is being written. Closed by [`Object::end`].
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

/// A list that is being written. Closed by [`List::end`].
pub(super) struct List<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

/// Appends any value.
pub(super) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    fn key(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write(self.out, name);
        self.out.push(b':');
    }

    /// A member with any value.
    pub(super) fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.key(name);
        write(self.out, value);
    }

    /// A member, where there is a value.
    pub(super) fn put_some<T: Serialize>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// A member whose value is carried text.
    pub(super) fn raw(&mut self, name: &str, value: &Raw) {
        self.key(name);
        self.out.extend_from_slice(value.text().as_bytes());
    }

    /// A member that is an object.
    pub(super) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(name);
        let mut inner = Object::begin(self.out);
        fill(&mut inner);
        inner.end();
    }

    /// A member that is a list.
    pub(super) fn list(&mut self, name: &str, fill: impl FnOnce(&mut List<'_>)) {
        self.key(name);
        self.out.push(b'[');
        let mut inner = List { out: self.out, first: true };
        fill(&mut inner);
        inner.end();
    }

    /// A member that is a list with one element of carried text.
    pub(super) fn list_of_one(&mut self, name: &str, value: &Raw) {
        self.list(name, |list| list.raw(value));
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

impl List<'_> {
    fn comma(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }

    /// An element that is an object.
    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        self.comma();
        let mut inner = Object::begin(self.out);
        fill(&mut inner);
        inner.end();
    }

    /// An element that is carried text.
    pub(super) fn raw(&mut self, value: &Raw) {
        self.comma();
        self.out.extend_from_slice(value.text().as_bytes());
    }

    fn end(self) {
        self.out.push(b']');
    }
}
