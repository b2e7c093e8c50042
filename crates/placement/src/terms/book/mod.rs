//! The book that a committee signs: one HTML page without anything from elsewhere. Timeline, every rule as a
//! sentence with clause, source and quote, golden cases with what came out, waivers, approvals, signature lines.
//!
//! Every text that stands in a file of the operator goes through [`escape`]; the page allows no script and loads
//! nothing, and says so to the browser.

mod page;
mod picture;

use super::{Approval, RuleInfo, Terms, cases::Report};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What the book is made of.
#[derive(Clone, Copy, Debug)]
pub struct Book<'a> {
    /// Its title.
    pub title: &'a str,
    /// The packs.
    pub terms: &'a Terms,
    /// The date of the book.
    pub now: Timestamp,
    /// The content hash of each pack, by id.
    pub hashes: &'a BTreeMap<String, String>,
    /// What came out of the golden cases.
    pub reports: &'a [Report],
    /// Every approval that is recorded, of whatever content.
    pub approvals: &'a [Approval],
    /// The program and its version.
    pub made_by: &'a str,
}

/// The page.
#[must_use]
pub fn html(book: &Book<'_>) -> String {
    page::write(book)
}

/// A text as it may stand in HTML, between tags and in quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A source: a link where it is an address of the web, else its text.
fn source(rule: &RuleInfo) -> String {
    let text = escape(&rule.source);
    let is_address = ["https://", "http://"].iter().any(|start| rule.source.starts_with(start));
    if is_address && !rule.source.contains(char::is_whitespace) {
        format!(r#"<a href="{text}" rel="noreferrer">{text}</a>"#)
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_becomes_markup() {
        assert_eq!(
            escape("<b a='1' c=\"2\">&\u{7}</b>"),
            "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\u{fffd}&lt;/b&gt;"
        );
    }
}
