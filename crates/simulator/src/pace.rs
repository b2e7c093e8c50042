//! A reply as timed steps: what is sent, what is waited for, how it breaks off.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

/// One step of sending a body.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Hand these bytes to the connection as one chunk.
    Send {
        /// The chunk.
        bytes: Bytes,
        /// Whether it carries answer content, for the journal's count.
        delta: bool,
    },
    /// Wait.
    Wait(Duration),
    /// Keep the connection open and silent until the client leaves.
    Silence,
    /// Keep it open and send `bytes` again and again until the client leaves.
    Pings {
        /// One ping frame.
        bytes: Bytes,
        /// Time between two.
        every: Duration,
    },
    /// Send `bytes` so many times.
    Repeat {
        /// The chunk.
        bytes: Bytes,
        /// How often still.
        left: u64,
    },
    /// End the connection by RST.
    Reset,
    /// End the connection by FIN, in the middle of the body.
    Break,
}

/// A piece of a reply's body, before timing.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Its bytes on the wire.
    pub(crate) bytes: Bytes,
    /// What it is to a reader of the stream.
    pub(crate) kind: FrameKind,
}

/// What a frame is to a reader of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// Opens something, carries no content.
    Opening,
    /// Content: text, reasoning, tool arguments.
    Delta,
    /// Everything after the last content: finish, usage, terminal event.
    Closing,
}

impl Frame {
    pub(crate) fn opening(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), kind: FrameKind::Opening }
    }

    pub(crate) fn delta(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), kind: FrameKind::Delta }
    }

    pub(crate) fn closing(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), kind: FrameKind::Closing }
    }
}

/// `frames` as steps with `pace` between two deltas; the first delta is not waited for.
pub(crate) fn paced(frames: Vec<Frame>, pace: Duration) -> VecDeque<Step> {
    let mut steps = VecDeque::with_capacity(frames.len());
    let mut first = true;
    for frame in frames {
        let delta = frame.kind == FrameKind::Delta;
        if delta && !std::mem::take(&mut first) && !pace.is_zero() {
            steps.push_back(Step::Wait(pace));
        }
        steps.push_back(Step::Send { bytes: frame.bytes, delta });
    }
    steps
}

/// The steps that send the first `limit` bytes of `steps`, then `end`.
pub(crate) fn cut_after_bytes(steps: VecDeque<Step>, limit: u64, end: Step) -> VecDeque<Step> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut kept = VecDeque::new();
    for step in steps {
        match step {
            Step::Send { bytes, delta } => {
                if left == 0 {
                    break;
                }
                let taken = bytes.slice(..bytes.len().min(left));
                left -= taken.len();
                kept.push_back(Step::Send { bytes: taken, delta });
            }
            other => kept.push_back(other),
        }
    }
    finish_with(&mut kept, end);
    kept
}

/// The steps up to and with the `deltas`-th delta, then `end` (or the plain end).
pub(crate) fn cut_after_deltas(steps: VecDeque<Step>, deltas: u64, end: Option<Step>) -> VecDeque<Step> {
    let mut seen = 0;
    let mut kept = VecDeque::new();
    for step in steps {
        if matches!(step, Step::Send { delta: true, .. }) {
            if seen == deltas {
                break;
            }
            seen += 1;
        }
        kept.push_back(step);
    }
    if let Some(end) = end {
        finish_with(&mut kept, end);
    }
    kept
}

fn finish_with(steps: &mut VecDeque<Step>, end: Step) {
    if matches!(end, Step::Reset | Step::Break) {
        // What was sent must be on the wire before the connection goes, or the kernel throws it away.
        steps.push_back(Step::Wait(Duration::from_millis(10)));
    }
    steps.push_back(end);
}

/// The same bytes in chunks of `size`, each counted as a delta.
pub(crate) fn fragmented(steps: VecDeque<Step>, size: usize) -> VecDeque<Step> {
    let size = size.max(1);
    let mut out = VecDeque::new();
    for step in steps {
        match step {
            Step::Send { mut bytes, delta } => {
                while bytes.len() > size {
                    out.push_back(Step::Send { bytes: bytes.split_to(size), delta: false });
                }
                out.push_back(Step::Send { bytes, delta });
            }
            other => out.push_back(other),
        }
    }
    out
}
