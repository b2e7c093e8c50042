//! The response body that carries out timed steps and keeps the journal's count.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::exchange::Open;
use crate::listener::Line;
use crate::pace::Step;

/// A body that sends its steps at their time.
pub(crate) struct PacedBody {
    steps: VecDeque<Step>,
    /// Boxed so that a body without waits costs nothing for it.
    timer: Option<Pin<Box<Sleep>>>,
    length: Option<u64>,
    line: Arc<Line>,
    open: Open,
}

impl PacedBody {
    /// `length`: the exact number of bytes, when the steps send just that.
    pub(crate) fn new(steps: VecDeque<Step>, length: Option<u64>, line: Arc<Line>, open: Open) -> Self {
        Self { steps, timer: None, length, line, open }
    }

    fn wait(&mut self, time: Duration) {
        self.timer = Some(Box::pin(sleep(time)));
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(timer) = &mut self.timer {
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.timer = None;
            }
            let Some(step) = self.steps.pop_front() else {
                self.open.complete();
                return Poll::Ready(None);
            };
            match step {
                Step::Send { bytes, delta } => {
                    self.open.sent(bytes.len(), delta);
                    if self.steps.is_empty() {
                        self.open.complete();
                    }
                    if bytes.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Step::Wait(time) => self.wait(time),
                Step::Silence => {
                    self.steps.push_front(Step::Silence);
                    self.wait(Duration::from_secs(3600));
                }
                Step::Pings { bytes, every } => {
                    self.steps.push_front(Step::Pings { bytes: bytes.clone(), every });
                    self.wait(every);
                    self.open.sent(bytes.len(), false);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Step::Repeat { bytes, left } => {
                    if left > 1 {
                        self.steps.push_front(Step::Repeat { bytes: bytes.clone(), left: left - 1 });
                    }
                    self.open.sent(bytes.len(), false);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Step::Reset => {
                    // Whoever polls once more before the connection goes must not see an orderly end.
                    self.steps.push_front(Step::Reset);
                    self.open.complete();
                    self.line.reset();
                    return Poll::Pending;
                }
                Step::Break => {
                    self.open.complete();
                    return Poll::Ready(Some(Err(io::Error::other("cut by script"))));
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
