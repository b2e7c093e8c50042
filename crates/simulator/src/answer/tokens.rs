//! The simulator's tokens: a run of white space with the word after it, in pieces of at most 16 letters.
//!
//! `"Hello big world"` is `Hello`, ` big`, ` world`: three tokens. It is no real tokenizer; it is one that
//! a test can redo by hand.

/// Letters of one token at most.
const TOKEN_CHARS: usize = 16;

/// `text` in tokens; together they are `text`.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut out = Vec::new();
    while let Some(end) = first_end(rest) {
        let (piece, tail) = rest.split_at(end);
        out.push(piece);
        rest = tail;
    }
    out
}

/// How many tokens `text` has.
pub(crate) fn count(text: &str) -> u64 {
    let mut rest = text;
    let mut count = 0;
    while let Some(end) = first_end(rest) {
        rest = rest.split_at(end).1;
        count += 1;
    }
    count
}

/// Where the first `max` tokens of `text` end; `None` when there are no more than that.
pub(crate) fn end_of(text: &str, max: u64) -> Option<usize> {
    let mut at = 0;
    let mut left = max;
    while let Some(end) = first_end(text.split_at(at).1) {
        if left == 0 {
            return Some(at);
        }
        left -= 1;
        at += end;
    }
    None
}

/// Byte length of the first token; `None` at the end.
fn first_end(text: &str) -> Option<usize> {
    if text.is_empty() {
        return None;
    }
    let mut in_word = false;
    for (seen, (at, letter)) in text.char_indices().enumerate() {
        if seen == TOKEN_CHARS || (in_word && letter.is_whitespace()) {
            return Some(at);
        }
        in_word |= !letter.is_whitespace();
    }
    Some(text.len())
}

/// `text` in as many pieces as asked for, as far as its letters go; in tokens when nothing is asked.
pub(crate) fn grouped(text: &str, wanted: Option<usize>) -> Vec<&str> {
    let tokens = pieces(text);
    let Some(wanted) = wanted.filter(|wanted| *wanted > 0 && *wanted != tokens.len()) else {
        return tokens;
    };
    let cuts: Vec<usize> = if wanted < tokens.len() {
        tokens.iter().scan(0, |at, token| Some(std::mem::replace(at, *at + token.len()))).collect()
    } else {
        text.char_indices().map(|(at, _)| at).collect()
    };
    let mut out = Vec::with_capacity(wanted);
    let mut start = 0;
    for index in 1..=wanted {
        let end = cuts.get(cuts.len() * index / wanted).copied().unwrap_or(text.len());
        if end > start {
            out.extend(text.get(start..end));
            start = end;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_words_with_their_space_and_make_up_the_text() {
        let text = "Hello big  wörld\n anticonstitutionnellement";
        assert_eq!(pieces(text).concat(), text);
        assert_eq!(pieces("Hello big world"), ["Hello", " big", " world"]);
        assert_eq!(count(text), pieces(text).len() as u64);
        assert_eq!(end_of("Hello big world", 2), Some(9));
        assert_eq!(end_of("Hello big world", 3), None);
    }

    #[test]
    fn grouped_gives_the_number_asked_for() {
        let text = "one two three four five six";
        for wanted in 1..=27 {
            let parts = grouped(text, Some(wanted));
            assert_eq!(parts.concat(), text);
            assert_eq!(parts.len(), wanted, "{parts:?}");
        }
    }
}
