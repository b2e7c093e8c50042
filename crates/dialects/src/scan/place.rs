//! Where an offset is, in a person's terms. Slow and tolerant: it runs only when something is wrong.

/// Longest path that is given, in bytes; longer ones are cut.
const MAX_PATH: usize = 256;
const MAX_KEY: usize = 64;

pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) path: String,
}

enum Step {
    Object(String),
    Array(usize),
}

/// Line and column (both from 1, the column in characters) and the path of the innermost value at `offset`.
pub(super) fn find(body: &[u8], offset: usize) -> Place {
    let before = body.get(..offset.min(body.len())).unwrap_or_default();
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() + 1;
    Place { line, column, path: path(before) }
}

fn path(before: &[u8]) -> String {
    let mut steps: Vec<Step> = Vec::new();
    let mut at = 0;
    let mut last_text = String::new();
    while let Some(byte) = before.get(at) {
        match byte {
            b'{' if steps.len() <= 128 => steps.push(Step::Object(String::new())),
            b'[' if steps.len() <= 128 => steps.push(Step::Array(0)),
            b'}' | b']' => drop(steps.pop()),
            b'"' => {
                let end = text_end(before, at + 1);
                last_text = key_text(before.get(at + 1..end).unwrap_or_default());
                at = end;
            }
            b':' => {
                if let Some(Step::Object(key)) = steps.last_mut() {
                    *key = std::mem::take(&mut last_text);
                }
            }
            b',' => match steps.last_mut() {
                Some(Step::Array(index)) => *index += 1,
                Some(Step::Object(key)) => key.clear(),
                None => {}
            },
            _ => {}
        }
        at += 1;
    }
    let mut path = String::new();
    for step in &steps {
        match step {
            Step::Object(key) if key.is_empty() => {}
            Step::Object(key) if path.is_empty() => path.push_str(key),
            Step::Object(key) => {
                path.push('.');
                path.push_str(key);
            }
            Step::Array(index) => path.push_str(&format!("[{index}]")),
        }
        if path.len() > MAX_PATH {
            return path.chars().take(MAX_PATH).collect();
        }
    }
    path
}

fn text_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn key_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(MAX_KEY).collect()
}
