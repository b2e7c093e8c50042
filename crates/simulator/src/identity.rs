//! Ids as the clouds write them, made from a counter and a hash.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// One step of SplitMix64: a good mix of every input bit in a few instructions.
fn mix(mut state: u64) -> u64 {
    state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

/// FNV-1a over `bytes`: stable over builds, unlike the standard hasher.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Source of the ids of one exchange: equal seeds give equal ids, in the order of asking.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    state: u64,
}

impl Ids {
    /// Ids of the exchange with this sequence number.
    pub(crate) fn new(seq: u64, cloud: &str) -> Self {
        Self { state: mix(seq) ^ hash(cloud.as_bytes()) }
    }

    /// The next 64 pseudo-random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(1);
        mix(self.state)
    }

    fn letters(&mut self, length: usize, alphabet: &[u8]) -> String {
        let size = alphabet.len().max(1) as u64;
        (0..length)
            .map(|_| {
                let at = usize::try_from(self.next() % size).unwrap_or(0);
                char::from(alphabet.get(at).copied().unwrap_or(b'0'))
            })
            .collect()
    }

    /// `length` letters and digits.
    pub(crate) fn base62(&mut self, length: usize) -> String {
        self.letters(length, BASE62)
    }

    /// `length` lower-case hex digits.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.letters(length, HEX)
    }

    /// A random-looking UUID of version 4.
    pub(crate) fn uuid(&mut self) -> String {
        format!("{}-{}-4{}-a{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_ids_and_others_differ() {
        let (mut a, mut b, mut c) = (Ids::new(7, "openai"), Ids::new(7, "openai"), Ids::new(8, "openai"));
        let first = a.base62(29);
        assert_eq!(first, b.base62(29));
        assert_ne!(first, c.base62(29));
        assert_eq!(first.len(), 29);
        assert_eq!(a.uuid().len(), 36);
    }
}
