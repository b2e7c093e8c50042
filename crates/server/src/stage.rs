//! A caller's connection between two calls: what it may wait for, and for how long.
//!
//! hyper knows one bound, on the head of a request, and counts it from the end of the answer before. But a
//! connection that rests is no slow caller: a load balancer keeps it for its own time, and where the gateway closes
//! it first, now and then a call is sent into it and answered 502. (AWS keeps one for 60 s unless told otherwise,
//! Google Cloud always for 600 s; the documentation of both asks for a longer time behind them.) So the bounds are
//! kept here.

use std::{
    io::{Error, ErrorKind, IoSlice, Result},
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicU8,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Semaphore,
    time::Instant,
};

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    /// Its first byte.
    Fresh,
    /// The rest of a request's head.
    Head,
    /// A call is under way: the engine's bounds hold.
    Call,
    /// The next call.
    Rest,
}

/// The stage of one connection, shared by its socket and what answers on it.
#[derive(Clone, Debug)]
pub(crate) struct Stages(Arc<AtomicU8>);

impl Stages {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(Stage::Fresh as u8)))
    }

    fn get(&self) -> Stage {
        match self.0.load(Acquire) {
            0 => Stage::Fresh,
            1 => Stage::Head,
            2 => Stage::Call,
            _ => Stage::Rest,
        }
    }

    fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Release);
    }

    /// A request's head is there. The call lasts until what is given is dropped.
    pub(crate) fn call(&self) -> UnderWay {
        self.set(Stage::Call);
        UnderWay(self.clone())
    }
}

/// A call on a connection; dropped once its answer is written.
#[derive(Debug)]
pub(crate) struct UnderWay(Stages);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(Stage::Rest);
    }
}

/// How long a connection may wait.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    /// For the head of a request, from its first byte; for the first byte, from the beginning.
    pub(crate) head: Duration,
    /// For the next call.
    pub(crate) rest: Duration,
    /// Places for connections; where hardly any is left, nobody rests for longer than a head may take.
    pub(crate) places: Arc<Semaphore>,
    /// So many free places are hardly any.
    pub(crate) scarce: usize,
}

impl Waits {
    fn bound(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Fresh | Stage::Head => self.head,
            Stage::Rest if self.places.available_permits() <= self.scarce => self.head.min(self.rest),
            Stage::Rest | Stage::Call => self.rest,
        }
    }
}

/// Sent to a caller whose head takes too long.
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A connection that ends by itself when it has waited for too long.
#[derive(Debug)]
pub(crate) struct Staged<S> {
    socket: S,
    stages: Stages,
    waits: Waits,
    /// Since when it waits for what; noted when there is nothing to read, so that no call pays for a timer.
    since: Option<(Stage, Instant)>,
    alarm: engine::Alarm,
    /// When it rings.
    rings: Instant,
}

impl<S> Staged<S> {
    pub(crate) fn new(socket: S, stages: Stages, waits: Waits) -> Self {
        let alarm = engine::Alarm::after(waits.head);
        let rings = tokio::time::Instant::now() + waits.head;
        Self { socket, stages, waits, since: None, alarm, rings }
    }

    /// Ready with the stage that has lasted too long.
    ///
    /// hyper does not ask again for what it knows to be missing, so that a call is over may show only when the
    /// alarm rings: it rings all the time, in no stage later than after the time for a head.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Stage> {
        loop {
            let stage = self.stages.get();
            if stage != Stage::Call {
                let now = tokio::time::Instant::now();
                let since = match self.since {
                    Some((known, since)) if known == stage => since,
                    _ => now,
                };
                self.since = Some((stage, since));
                let over = since + self.waits.bound(stage);
                if now >= over {
                    return Poll::Ready(stage);
                }
                if over < self.rings {
                    self.ring_after(over - now);
                }
            }
            ready!(self.alarm.poll(cx));
            self.ring_after(self.waits.head);
        }
    }

    fn ring_after(&mut self, time: Duration) {
        self.alarm.set_after(time);
        self.rings = tokio::time::Instant::now() + time;
    }

    /// Bytes went one way or the other: whoever waits begins to wait anew.
    fn moved(&mut self) {
        if self.stages.get() == Stage::Rest {
            self.since = None;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Staged<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.socket).poll_read(cx, buf) {
            if buf.filled().len() > before && matches!(self.stages.get(), Stage::Fresh | Stage::Rest) {
                self.stages.set(Stage::Head);
                self.since = None;
            }
            return Poll::Ready(read);
        }
        let over = ready!(self.poll_over(cx));
        if over == Stage::Head {
            // As much of it as goes: the connection ends here in any case.
            let _told = Pin::new(&mut self.socket).poll_write(cx, TOO_LATE);
            return Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the request's head took too long")));
        }
        // The end of the connection, as if the caller had closed it.
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Staged<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes));
        self.moved();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, parts));
        self.moved();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
