//! Reads TOML that people write, collecting everything that is wrong with its place instead of stopping at
//! the first.

use crate::{
    attribute::{Attribute, Shape, Value, Words},
    instant,
    problem::{Problem, Problems, nearest},
};
use jiff::Timestamp;
use std::{ops::Range, sync::Arc};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Longest text of a file that is read, in bytes. A sheet of ten thousand rules is about 5 MiB.
pub(crate) const MAX_FILE_BYTES: usize = 16 << 20;

/// How dates are written.
const DATE_HINT: &str = "write 2026-04-27 (its first moment in UTC) or 2026-04-27T00:00:00Z";

/// A file being read, and what was found wrong with it.
pub(crate) struct Reader<'t> {
    file: Arc<str>,
    text: &'t str,
    pub(crate) problems: Problems,
}

/// A value with its place.
pub(crate) type Node<'t> = Spanned<DeValue<'t>>;

/// A table whose keys are taken one by one; what is left over at the end is unknown.
pub(crate) struct Fields<'r, 't> {
    table: &'r DeTable<'t>,
    /// Where the table stands, for what is missing from it.
    pub(crate) span: Range<usize>,
    what: &'static str,
    known: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(file: &str, text: &'t str) -> Self {
        Self { file: file.into(), text, problems: Problems::default() }
    }

    pub(crate) fn file(&self) -> Arc<str> {
        Arc::clone(&self.file)
    }

    /// Line and column, from 1, of a byte offset.
    pub(crate) fn place(&self, offset: usize) -> (u32, u32) {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    pub(crate) fn wrong(&mut self, span: &Range<usize>, message: String, hint: impl Into<String>) {
        let (line, column) = self.place(span.start);
        self.problems.0.push(Problem { file: self.file(), line, column, message, hint: hint.into() });
    }

    /// The whole file as a table. Syntax errors are noted, and what could be read is returned.
    pub(crate) fn parse(&mut self) -> Spanned<DeTable<'t>> {
        if self.text.len() > MAX_FILE_BYTES {
            self.wrong(&(0..0), format!("the file is longer than {MAX_FILE_BYTES} bytes"), "split it");
            return Spanned::new(0..0, DeTable::new());
        }
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let message = error.message().trim();
            let hint = if message.contains("date") { DATE_HINT } else { "" };
            self.wrong(&span, format!("not TOML: {message}"), hint);
        }
        table
    }

    pub(crate) fn fields<'r>(&mut self, node: &'r Node<'t>, what: &'static str) -> Option<Fields<'r, 't>> {
        let Some(table) = node.get_ref().as_table() else {
            self.wrong(&node.span(), format!("{what} must be a table, not {}", kind(node)), "");
            return None;
        };
        Some(Fields::new(table, node.span(), what))
    }

    pub(crate) fn text(&mut self, node: &Node<'t>, what: &str) -> Option<Arc<str>> {
        match node.get_ref().as_str() {
            Some(text) if text.trim().is_empty() => {
                self.wrong(&node.span(), format!("`{what}` is empty"), "leave it out or say what it is");
                None
            }
            Some(text) => Some(text.trim().into()),
            None => {
                self.wrong(&node.span(), format!("`{what}` must be a string, not {}", kind(node)), "");
                None
            }
        }
    }

    pub(crate) fn flag(&mut self, node: &Node<'t>, what: &str) -> Option<bool> {
        let flag = node.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(&node.span(), format!("`{what}` must be true or false, not {}", kind(node)), "");
        }
        flag
    }

    /// One string or a list of them, each with its place.
    pub(crate) fn words(&mut self, node: &Node<'t>, what: &str) -> Vec<(Arc<str>, Range<usize>)> {
        if let Some(list) = node.get_ref().as_array() {
            if list.is_empty() {
                self.wrong(&node.span(), format!("`{what}` lists nothing"), "name at least one value");
            }
            return list.iter().filter_map(|item| Some((self.text(item, what)?, item.span()))).collect();
        }
        self.text(node, what).map(|word| (word, node.span())).into_iter().collect()
    }

    /// An instant: a TOML offset date-time or date, or a string of the same form.
    pub(crate) fn instant(&mut self, node: &Node<'t>, what: &str) -> Option<Timestamp> {
        let text = match node.get_ref() {
            DeValue::Datetime(datetime) => {
                let text = datetime.to_string();
                // An impossible date is a mistake of syntax, which has been told.
                if text.is_empty() {
                    return None;
                }
                text
            }
            DeValue::String(text) => text.to_string(),
            _ => {
                self.wrong(
                    &node.span(),
                    format!("`{what}` must be a date or an instant, not {}", kind(node)),
                    "",
                );
                return None;
            }
        };
        match instant::parse(&text) {
            Ok(instant) => Some(instant),
            Err(message) => {
                self.wrong(&node.span(), format!("`{what}`: {message}"), DATE_HINT);
                None
            }
        }
    }

    /// Until, which must lie after from.
    pub(crate) fn in_order(
        &mut self,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        span: &Range<usize>,
    ) {
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            self.wrong(
                span,
                format!(
                    "`until` ({}) is not after `from` ({})",
                    instant::format(until),
                    instant::format(from)
                ),
                "`until` is exclusive: the first instant at which it no longer holds",
            );
        }
    }

    /// One of `known`.
    pub(crate) fn one_of<T>(
        &mut self,
        node: &Node<'t>,
        what: &str,
        known: &[&str],
        by_name: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let word = self.text(node, what)?;
        let found = by_name(&word);
        if found.is_none() {
            self.wrong(&node.span(), format!("`{what}` knows no `{word}`"), did_you_mean(&word, known));
        }
        found
    }

    /// The words that `attribute` is given here: groups resolved, each checked against what it may hold.
    pub(crate) fn attribute_words(&mut self, node: &Node<'t>, attribute: Attribute) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        for (word, span) in self.words(node, attribute.name()) {
            if word.starts_with('@') {
                match attribute.group(&word) {
                    Some(group) => all.extend(group.iter().map(|word| Arc::from(*word))),
                    None => {
                        self.wrong(&span, format!("`{attribute}` knows no group `{word}`"), "groups: @eu-eea")
                    }
                }
                continue;
            }
            if let Words::Closed(known) = attribute.words()
                && !known.contains(&&*word)
            {
                self.wrong(
                    &span,
                    format!("`{attribute}` knows no value `{word}`"),
                    did_you_mean(&word, known),
                );
                continue;
            }
            all.push(word);
        }
        all.sort();
        all.dedup();
        all
    }

    /// The value of `attribute` as a fact: one word or a set by its shape.
    pub(crate) fn attribute_value(&mut self, node: &Node<'t>, attribute: Attribute) -> Option<Value> {
        let words = self.attribute_words(node, attribute);
        match (attribute.shape(), words.as_slice()) {
            (_, []) => None,
            (Shape::Word, [word]) => Some(Value::Word(Arc::clone(word))),
            (Shape::Word, _) => {
                self.wrong(&node.span(), format!("`{attribute}` is one word, not several"), "");
                None
            }
            _ => Some(Value::Set(words.into())),
        }
    }
}

impl<'r, 't> Fields<'r, 't> {
    pub(crate) const fn new(table: &'r DeTable<'t>, span: Range<usize>, what: &'static str) -> Self {
        Self { table, span, what, known: Vec::new() }
    }

    /// The value of a key that may be left out.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'r Node<'t>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&mut self, key: &'static str, reader: &mut Reader<'t>) -> Option<&'r Node<'t>> {
        let node = self.take(key);
        if node.is_none() {
            reader.wrong(&self.span, format!("{} has no `{key}`", self.what), format!("add `{key} = …`"));
        }
        node
    }

    /// The keys with their places, in the order of the file.
    pub(crate) fn entries(&self) -> Vec<(&'r str, Range<usize>, &'r Node<'t>)> {
        let mut all: Vec<_> =
            self.table.iter().map(|(key, node)| (&**key.get_ref(), key.span(), node)).collect();
        all.sort_by_key(|(_, span, _)| span.start);
        all
    }

    /// Notes every key that nobody took.
    pub(crate) fn finish(self, reader: &mut Reader<'t>) {
        for (key, span, _) in self.entries() {
            if !self.known.contains(&key) {
                reader.wrong(
                    &span,
                    format!("{} knows no `{key}`", self.what),
                    did_you_mean(key, &self.known),
                );
            }
        }
    }
}

/// A hint that names the nearest word, else all of them.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", known.join(", ")),
    }
}

fn kind(node: &Node<'_>) -> &'static str {
    match node.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
