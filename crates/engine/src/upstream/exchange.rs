//! An upstream's answer: its head, and a body that drives its own connection.

use super::{driver::Driver, pieces::Pieces, pool::Pool};
use bytes::Bytes;
use domain::{Code, Fault};
use http_body::Body;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// An upstream's answer.
pub struct Answer {
    /// Status.
    pub status: http::StatusCode,
    /// Headers.
    pub headers: http::HeaderMap,
    /// The body. Dropping it before its end closes the connection.
    pub body: AnswerBody,
}

impl Answer {
    pub(super) fn new(
        parts: http::response::Parts,
        body: Incoming,
        sender: SendRequest<Pieces>,
        driver: Driver,
        pool: Arc<Pool>,
    ) -> Self {
        let body = AnswerBody { body, connection: Some(Connection { sender, driver, pool }) };
        Self { status: parts.status, headers: parts.headers, body }
    }
}

struct Connection {
    sender: SendRequest<Pieces>,
    driver: Driver,
    pool: Arc<Pool>,
}

/// The body of an answer. Reading drives the connection; reading to the end gives it back to the pool.
pub struct AnswerBody {
    body: Incoming,
    connection: Option<Connection>,
}

impl AnswerBody {
    /// The next bytes, `None` at the end. `now` is monotonic time, for the pool at the end.
    ///
    /// # Errors
    /// `upstream_bad_response` where the connection broke in the middle of the body.
    pub async fn next(&mut self, now: Duration) -> Result<Option<Bytes>, Fault> {
        poll_fn(|cx| self.poll_next(cx, || now)).await
    }

    /// As [`Self::next`], by polling.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        now: impl FnOnce() -> Duration,
    ) -> Poll<Result<Option<Bytes>, Fault>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
        let body = &mut self.body;
        let mut frame = |cx: &mut Context<'_>| Pin::new(&mut *body).poll_frame(cx);
        loop {
            match connection.driver.poll_with(cx, &mut frame) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Ok(Some(data))),
                    Err(_trailers) => {}
                },
                Poll::Ready(Some(Err(error))) => {
                    self.connection = None;
                    return Poll::Ready(Err(cut(&error)));
                }
                Poll::Ready(None) => {
                    if let Some(Connection { sender, driver, pool }) = self.connection.take() {
                        pool.give_back(sender, driver, now());
                    }
                    return Poll::Ready(Ok(None));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The whole body, at most `max` bytes.
    ///
    /// # Errors
    /// `upstream_bad_response` where the body is longer or breaks off.
    pub async fn collect(mut self, max: usize, now: Duration) -> Result<Bytes, Fault> {
        let Some(first) = self.next(now).await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next(now).await? else { return within(first, max) };
        let mut all = bytes::BytesMut::with_capacity((first.len() + second.len()) * 2);
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(more) = self.next(now).await? {
            if all.len() + more.len() > max {
                return Err(too_long(max));
            }
            all.extend_from_slice(&more);
        }
        within(all.freeze(), max)
    }
}

fn within(bytes: Bytes, max: usize) -> Result<Bytes, Fault> {
    if bytes.len() > max { Err(too_long(max)) } else { Ok(bytes) }
}

fn too_long(max: usize) -> Fault {
    Fault::upstream(Code::UpstreamBadResponse, "the provider's answer is longer than this gateway takes")
        .because(&format!("more than {max} bytes"))
}

fn cut(error: &hyper::Error) -> Fault {
    Fault::upstream(Code::UpstreamBadResponse, "the provider's answer broke off").because(&error.to_string())
}
