//! Bodies: the caller's, read within bounds, and ours, written as they come.

use crate::stage::UnderWay;
use bytes::{Bytes, BytesMut};
use dialects::StreamEncoder;
use domain::{Code, Fault};
use engine::{Alarm, Buffered, Engine, Piece, ReplyStream};
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A request body in memory, and the bytes that it holds of the common bound.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    pub(crate) buffered: Buffered,
}

/// Reads the caller's body: at most `max` bytes, within `timeout`, within the bound of all bodies together.
pub(crate) async fn receive(
    engine: &Engine,
    body: Incoming,
    max: usize,
    timeout: Duration,
) -> Result<Received, Fault> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > max {
        return Err(too_large(max));
    }
    match tokio::time::timeout(timeout, collect(engine, body, declared, max)).await {
        Ok(received) => received,
        Err(_) => Err(Fault::caller(
            Code::RequestTimeout,
            "the request's body did not arrive in time; send it again",
        )),
    }
}

async fn collect(
    engine: &Engine,
    mut body: Incoming,
    declared: usize,
    max: usize,
) -> Result<Received, Fault> {
    let mut buffered = engine.buffer(declared).ok_or_else(full)?;
    let Some(first) = chunk(&mut body).await? else { return Ok(Received { bytes: Bytes::new(), buffered }) };
    if body.is_end_stream() {
        if first.len() > declared {
            buffered = engine.buffer(first.len()).ok_or_else(full)?;
        }
        return Ok(Received { bytes: first, buffered });
    }
    let mut all = BytesMut::with_capacity(declared.max(first.len() * 2).min(max));
    let mut reserved = declared;
    let mut more = Some(first);
    let mut parts = vec![buffered];
    while let Some(data) = more {
        if all.len() + data.len() > max {
            return Err(too_large(max));
        }
        all.extend_from_slice(&data);
        if all.len() > reserved {
            let extra = all.len();
            parts.push(engine.buffer(extra).ok_or_else(full)?);
            reserved += extra;
        }
        more = chunk(&mut body).await?;
    }
    Ok(Received { bytes: all.freeze(), buffered: Buffered::join(parts) })
}

async fn chunk(body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => {
                return Err(Fault::caller(Code::InvalidRequest, "the request's body broke off")
                    .because(&error.to_string()));
            }
        }
    }
}

fn too_large(max: usize) -> Fault {
    Fault::caller(
        Code::BodyTooLarge,
        format!("the request's body is larger than this gateway takes ({max} bytes)"),
    )
}

fn full() -> Fault {
    Fault::new(
        domain::Source::Gateway,
        domain::RetryClass::Stop,
        Code::Overloaded,
        "the gateway holds as many request bytes as it may; try again shortly",
    )
    .after(Some(Duration::from_secs(1)))
}

/// A comment that keeps the connection open.
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Silence that is broken by a comment, so that nobody on the caller's road takes the connection for dead.
#[derive(Debug)]
struct Silence {
    alarm: Alarm,
    bound: Duration,
}

impl Silence {
    fn new(bound: Duration) -> Self {
        Self { alarm: Alarm::after(bound), bound }
    }

    /// Ready where it has lasted for as long as it may; `so_far` is asked at most when the alarm rings.
    fn poll(&mut self, cx: &mut Context<'_>, so_far: impl Fn() -> Duration) -> Poll<()> {
        while self.alarm.poll(cx).is_ready() {
            // The alarm is not set anew at every piece: there may have been some since it was.
            let left = self.bound.saturating_sub(so_far());
            let over = left.is_zero();
            self.alarm.set_after(if over { self.bound } else { left });
            if over {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

/// Our answer's body.
pub(crate) enum Outgoing {
    /// Known whole.
    Whole(Option<Bytes>),
    /// Written as it comes.
    Stream(Box<Streaming>),
    /// A turn of the stateful side, as it comes.
    Turn(Box<Turn>),
}

/// A turn on its way to the caller. Dropped, one in the foreground is cancelled, one in the background works on.
pub(crate) struct Turn {
    pieces: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    silence: Silence,
    last: tokio::time::Instant,
    _buffered: Option<Buffered>,
}

/// A streamed answer on its way to the caller. Dropping it before its end is the caller's leaving.
pub(crate) struct Streaming {
    reply: Box<ReplyStream>,
    encoder: Option<Box<dyn StreamEncoder>>,
    silence: Silence,
    _buffered: Buffered,
}

impl Outgoing {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }

    pub(crate) fn stream(
        reply: Box<ReplyStream>,
        encoder: Option<Box<dyn StreamEncoder>>,
        buffered: Buffered,
        keep_alive: Duration,
    ) -> Self {
        let silence = Silence::new(keep_alive);
        Self::Stream(Box::new(Streaming { reply, encoder, silence, _buffered: buffered }))
    }

    pub(crate) fn turn(
        pieces: impl Stream<Item = Bytes> + Send + 'static,
        buffered: Option<Buffered>,
        keep_alive: Duration,
    ) -> Self {
        let (silence, last) = (Silence::new(keep_alive), tokio::time::Instant::now());
        Self::Turn(Box::new(Turn { pieces: Box::pin(pieces), silence, last, _buffered: buffered }))
    }
}

impl Turn {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let piece = self.pieces.as_mut().poll_next(cx);
        if piece.is_ready() {
            self.last = tokio::time::Instant::now();
            return piece;
        }
        let last = self.last;
        self.silence.poll(cx, || last.elapsed()).map(|()| Some(Bytes::from_static(KEEP_ALIVE)))
    }
}

impl Streaming {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match self.reply.poll_next(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(piece)) => {
                    let bytes = match piece {
                        Piece::Bytes(bytes) => bytes,
                        Piece::Events(events) => {
                            let mut out = Vec::with_capacity(256);
                            if let Some(encoder) = &mut self.encoder {
                                for event in &events {
                                    encoder.push(event, &mut out);
                                }
                            }
                            out.into()
                        }
                    };
                    if !bytes.is_empty() {
                        self.reply.released(bytes.len());
                        return Poll::Ready(Some(bytes));
                    }
                }
                Poll::Pending => {
                    let reply = &self.reply;
                    return self
                        .silence
                        .poll(cx, || reply.silent_for())
                        .map(|()| Some(Bytes::from_static(KEEP_ALIVE)));
                }
            }
        }
    }
}

/// An answer's body, and that its call is under way for as long as there is one.
pub(crate) struct Answering {
    body: Outgoing,
    _call: UnderWay,
}

impl Answering {
    pub(crate) const fn new(body: Outgoing, call: UnderWay) -> Self {
        Self { body, _call: call }
    }
}

impl Body for Answering {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(streaming) => {
                streaming.poll(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Turn(turn) => turn.poll(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) | Self::Turn(_) => SizeHint::default(),
        }
    }
}
