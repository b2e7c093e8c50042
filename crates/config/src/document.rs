//! A configuration's text with the place of every value, so that whatever is found wrong later can still be
//! told by line and column.

use placement::{Problem, Problems};
use std::{ops::Range, sync::Arc};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Longest configuration that is read, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// One step on the way to a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// Into a table.
    Key(&'a str),
    /// Into a list.
    Index(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way to a value: `at!["deployment", 3, "region"]`.
macro_rules! at {
    ($($step:expr),* $(,)?) => { &[$($crate::document::Step::from($step)),*] };
}
pub(crate) use at;

/// A parsed text and the problems found in it so far.
pub(crate) struct Document<'t> {
    file: Arc<str>,
    text: &'t str,
    /// Where each line begins, so that a place is found without reading the text again.
    lines: Vec<usize>,
    root: Spanned<DeTable<'t>>,
    /// What is wrong.
    pub(crate) problems: Problems,
    /// What is allowed and should be known.
    pub(crate) notes: Problems,
}

impl<'t> Document<'t> {
    /// Parses; syntax errors are noted and what could be read is kept.
    pub(crate) fn parse(file: &str, text: &'t str) -> Self {
        let mut document = Self {
            file: file.into(),
            text,
            lines: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
            root: Spanned::new(0..0, DeTable::new()),
            problems: Problems::default(),
            notes: Problems::default(),
        };
        if text.len() > MAX_BYTES {
            document.wrong(&(0..0), format!("the file is longer than {MAX_BYTES} bytes"), "split it");
            return document;
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        document.root = root;
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            document.wrong(&span, format!("not TOML: {}", error.message().trim()), "");
        }
        document
    }

    /// The parsed text.
    pub(crate) const fn root(&self) -> &Spanned<DeTable<'t>> {
        &self.root
    }

    /// True where the file says something of this name, right or wrong.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.root.get_ref().contains_key(name)
    }

    /// Notes a problem at a span.
    pub(crate) fn wrong(&mut self, span: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let problem = self.problem(span, message.into(), hint.into());
        self.problems.0.push(problem);
    }

    /// Notes a problem at a value; where the value is missing, at the nearest table around it.
    pub(crate) fn wrong_at(
        &mut self,
        path: &[Step<'_>],
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let span = self.span(path);
        self.wrong(&span, message, hint);
    }

    /// Notes something that is allowed and should be known.
    pub(crate) fn note_at(&mut self, path: &[Step<'_>], message: impl Into<String>, hint: impl Into<String>) {
        let note = self.problem(&self.span(path), message.into(), hint.into());
        self.notes.0.push(note);
    }

    /// `file:line` of a value.
    pub(crate) fn source(&self, path: &[Step<'_>]) -> String {
        format!("{}:{}", self.file, self.place(self.span(path).start).0)
    }

    /// The line of a value.
    pub(crate) fn line(&self, path: &[Step<'_>]) -> u32 {
        self.place(self.span(path).start).0
    }

    fn problem(&self, span: &Range<usize>, message: String, hint: String) -> Problem {
        let (line, column) = self.place(span.start);
        Problem { file: Arc::clone(&self.file), line, column, message, hint }
    }

    fn span(&self, path: &[Step<'_>]) -> Range<usize> {
        let Some((first, rest)) = path.split_first() else { return self.root.span() };
        let Step::Key(key) = first else { return self.root.span() };
        let Some(mut node) = self.root.get_ref().get(*key) else { return self.root.span() };
        for step in rest {
            let next = match (step, node.get_ref()) {
                (Step::Key(key), DeValue::Table(table)) => table.get(*key),
                (Step::Index(index), DeValue::Array(list)) => list.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        node.span()
    }

    /// Line and column (in characters), from 1, of a byte offset.
    fn place(&self, offset: usize) -> (u32, u32) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or(0);
        let column = self.text.get(start..offset).unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

/// A hint that names the nearest of the known words, else all of them (at most twenty).
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    // Of a word of three letters, every other one is near.
    if word.chars().count() > 3
        && let Some(near) = placement::problem::nearest(word, known.iter().copied())
    {
        return format!("did you mean `{near}`?");
    }
    match known.len() {
        0 => "there is none yet".to_owned(),
        1..=20 => format!("known: {}", known.join(", ")),
        more => format!("known: {} and {} more", known.get(..20).unwrap_or_default().join(", "), more - 20),
    }
}
