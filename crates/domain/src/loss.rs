//! What a translation could not carry: named, counted, told to the caller, refusable by policy.

use std::fmt;

/// One thing that was lost, by its wire name in the dialect it came from (`seed`, `messages.cache_control`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Stable name: lower case, dots between levels, no indices, no user text.
    pub name: Box<str>,
    /// How often it was lost in this call.
    pub count: u32,
}

/// The losses of one translation, in order of first appearance, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    list: Vec<Loss>,
}

/// At most this many different names are kept; the rest count under `other`.
pub const MAX_NAMES: usize = 32;
const MAX_NAME_BYTES: usize = 64;

impl Losses {
    /// Nothing lost.
    #[must_use]
    pub const fn none() -> Self {
        Self { list: Vec::new() }
    }

    /// Notes one loss. Characters other than `[a-z0-9._-]` become `_` and names end at 64 bytes, so
    /// that a client's field name can stand in a header.
    pub fn add(&mut self, name: &str) {
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
                    c.to_ascii_lowercase()
                } else {
                    '_'
                }
            })
            .take(MAX_NAME_BYTES)
            .collect();
        if let Some(loss) = self.list.iter_mut().find(|loss| *loss.name == *name) {
            loss.count = loss.count.saturating_add(1);
        } else if self.list.len() + 1 < MAX_NAMES {
            self.list.push(Loss { name: name.into(), count: 1 });
        } else if let Some(loss) = self.list.iter_mut().find(|loss| &*loss.name == "other") {
            loss.count = loss.count.saturating_add(1);
        } else {
            self.list.push(Loss { name: "other".into(), count: 1 });
        }
    }

    /// Adds all losses of `other`.
    pub fn extend(&mut self, other: &Self) {
        for loss in &other.list {
            for _ in 0..loss.count.min(1_000) {
                self.add(&loss.name);
            }
        }
    }

    /// True where nothing was lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The losses in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.list.iter()
    }

    /// True where something of this name was lost.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.list.iter().any(|loss| &*loss.name == name)
    }
}

/// As in the header: `seed, messages.cache_control;n=3`.
impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, loss) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(&loss.name)?;
            if loss.count > 1 {
                write!(f, ";n={}", loss.count)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_bounded_and_fit_a_header() {
        let mut losses = Losses::none();
        losses.add("seed");
        losses.add("messages.cache_control");
        losses.add("messages.cache_control");
        losses.add("Evil\r\nheader: x");
        assert_eq!(losses.to_string(), "seed, messages.cache_control;n=2, evil__header__x");
        for index in 0..100 {
            losses.add(&format!("f{index}"));
        }
        assert_eq!(losses.iter().count(), MAX_NAMES);
        assert!(losses.has("other"));
    }
}
