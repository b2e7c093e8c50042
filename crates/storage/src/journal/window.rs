//! A part of a file in memory, to be read forward.

use std::{fs::File, io, os::unix::fs::FileExt};

/// Room while little is there.
const ROOM_MIN: usize = 8 << 10;
/// Room once there is more; a frame that needs more gets it.
const ROOM: usize = 64 << 10;

/// Bytes of a file. The buffer is zeroed when it is made and never again; it grows when it was once too small and
/// is given back by [`Window::reset`].
#[derive(Default)]
pub(super) struct Window {
    buffer: Vec<u8>,
    /// The bytes at hand are `start..end`; what is behind them is room.
    start: usize,
    end: usize,
    /// Where in the file the bytes at hand begin.
    from: u64,
    #[cfg(test)]
    pub(super) reads: usize,
}

impl Window {
    /// The bytes at hand.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Where in the file they begin.
    pub(super) const fn from(&self) -> u64 {
        self.from
    }

    /// Goes on behind the first `count` of them.
    pub(super) fn skip(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.from += count as u64;
    }

    /// Forgets all bytes, to go on at `from`. A large buffer is given back.
    pub(super) fn reset(&mut self, from: u64) {
        (self.start, self.end, self.from) = (0, 0, from);
        if self.buffer.len() > ROOM_MIN {
            self.buffer = Vec::new();
        }
    }

    /// Reads on until `needed` bytes are at hand. False at the end of the file.
    pub(super) fn fill(&mut self, file: &File, needed: usize) -> io::Result<bool> {
        while self.end - self.start < needed {
            self.make_room(needed);
            let space = self.buffer.get_mut(self.end..).unwrap_or_default();
            let at = self.from + (self.end - self.start) as u64;
            #[cfg(test)]
            {
                self.reads += 1;
            }
            let read = file.read_at(space, at)?;
            if read == 0 {
                return Ok(false);
            }
            self.end += read;
        }
        Ok(true)
    }

    /// Moves what is at hand to the front and sees to it that `needed` bytes fit.
    fn make_room(&mut self, needed: usize) {
        // The last read found no end: there is more.
        let full = self.end > 0 && self.end == self.buffer.len();
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = if full { ROOM } else { ROOM_MIN }.max(needed);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_grows_while_there_is_more_and_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = File::open(&path).unwrap();
        let mut window = Window::default();
        let mut read = 0;
        while window.fill(&file, 700).unwrap() {
            assert_eq!(window.from(), read as u64);
            assert_eq!(window.bytes()[..700], content[read..read + 700]);
            window.skip(700);
            read += 700;
        }
        assert_eq!(window.bytes(), &content[read..]);
        assert_eq!(window.buffer.len(), ROOM);
        assert!(window.reads < 300_000 / ROOM + 5, "{} reads", window.reads);
        assert!(window.fill(&file, 3).unwrap(), "what is at hand is not read again");
        window.reset(10);
        assert_eq!((window.buffer.len(), window.bytes()), (0, &[][..]));
        assert!(window.fill(&file, 5).unwrap());
        assert_eq!((window.buffer.len(), window.bytes()[0]), (ROOM_MIN, 10));
        assert!(window.fill(&file, 2 * ROOM).unwrap(), "a frame that needs more gets it");
        assert_eq!(window.bytes()[2 * ROOM - 1], content[10 + 2 * ROOM - 1]);
        assert!(!window.fill(&file, 400_000).unwrap());
    }
}
