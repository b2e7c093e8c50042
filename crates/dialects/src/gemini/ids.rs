//! Ids of function calls where Gemini gives none.
//!
//! Older models (and Vertex) name no id. The inner form needs one, so one is made from where the call stood
//! and what it says: deterministic, so a stream and its whole reply agree, and distinct for equal calls. Its
//! form tells that it was made, and a made id never goes out to Gemini.

/// Bound of the numbers in a made id.
const HASH_DIGITS: usize = 16;

/// Makes the id of call number `index` (within the answer or the request) named `name`. `seed` is the
/// answer's id, so that equal calls of two answers differ.
pub(super) fn make(seed: &str, index: u32, name: &str, arguments: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in [seed, name, arguments] {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("call_{index}_{hash:016x}")
}

/// True where `id` has the form of [`make`].
pub(super) fn is_made(id: &str) -> bool {
    id.strip_prefix("call_").and_then(|rest| rest.split_once('_')).is_some_and(|(index, hash)| {
        !index.is_empty()
            && index.bytes().all(|b| b.is_ascii_digit())
            && hash.len() == HASH_DIGITS
            && hash.bytes().all(|b| b.is_ascii_hexdigit())
    })
}
