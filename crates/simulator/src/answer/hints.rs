//! Values that a prompt offers: places, quoted texts, numbers.

/// What was found in a prompt, to be used up in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    pub(crate) places: Vec<String>,
    quoted: Vec<String>,
    numbers: Vec<f64>,
    next_place: usize,
    next_quoted: usize,
    next_number: usize,
}

impl Hints {
    /// Reads `text`.
    pub(crate) fn of(text: &str) -> Self {
        let numbers = text
            .split(|letter: char| !(letter.is_ascii_digit() || letter == '.' || letter == '-'))
            .map(|word| word.trim_matches(|letter| letter == '.'))
            .filter(|word| word.bytes().any(|byte| byte.is_ascii_digit()))
            .filter_map(|word| word.parse().ok())
            .take(64)
            .collect();
        let quoted = text.split('"').skip(1).step_by(2).map(str::to_owned).take(64).collect();
        Self { places: places(text), quoted, numbers, ..Self::default() }
    }

    /// The next place; the last one again when there are no more.
    pub(crate) fn place(&mut self) -> Option<String> {
        let found = self.places.get(self.next_place).or(self.places.last()).cloned();
        self.next_place += 1;
        found
    }

    /// The next quoted text.
    pub(crate) fn quoted(&mut self) -> Option<String> {
        let found = self.quoted.get(self.next_quoted).cloned();
        self.next_quoted += 1;
        found
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> Option<f64> {
        let found = self.numbers.get(self.next_number).copied();
        self.next_number += 1;
        found
    }
}

/// Capitalised names after "in", "for" or "at", with those that "and", "or" or a comma joins to them.
fn places(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    let mut joined = false;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|letter: char| !letter.is_alphanumeric());
        if matches!(bare, "in" | "for" | "at" | "In") {
            (open, joined) = (true, false);
        } else if matches!(bare, "and" | "or") {
            joined = false;
        } else if open && bare.chars().next().is_some_and(char::is_uppercase) {
            match found.last_mut() {
                Some(last) if joined => {
                    last.push(' ');
                    last.push_str(bare);
                }
                _ => found.push(bare.to_owned()),
            }
            joined = word.ends_with(char::is_alphanumeric);
        } else {
            (open, joined) = (false, false);
        }
    }
    found.truncate(16);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_quotes_and_numbers_are_found() {
        let mut hints = Hints::of("Weather in Paris and New York, please? Add 2 and 3.5 to \"x y\".");
        assert_eq!(hints.places, ["Paris", "New York"]);
        assert_eq!(hints.number(), Some(2.0));
        assert_eq!(hints.number(), Some(3.5));
        assert_eq!(hints.quoted().as_deref(), Some("x y"));
        assert_eq!(hints.quoted(), None);
    }
}
