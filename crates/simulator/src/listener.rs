//! One cloud's listening socket: accepts, can be killed and healed on the same port.
//!
//! Killed means dead on the wire: new connections are refused, open ones are reset. While dead the port
//! stays ours by a socket that is bound and does not listen, so that no other process takes it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::clock::now_ms;
use crate::exchange::Cloud;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// What a listener can be told.
enum Order {
    Kill,
    Heal,
    Stop,
}

/// Handle of one cloud's listener.
#[derive(Debug)]
pub(crate) struct ListenerHandle {
    /// Where it listens; the same over kill and heal.
    pub(crate) address: SocketAddr,
    orders: mpsc::Sender<(Order, oneshot::Sender<io::Result<()>>)>,
    alive: watch::Receiver<bool>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kill => "Kill",
            Self::Heal => "Heal",
            Self::Stop => "Stop",
        })
    }
}

impl ListenerHandle {
    /// Refuses new connections and resets the open ones. Returns when that is so; again is no error.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        self.order(Order::Kill).await
    }

    /// Accepts again on the same port. Again is no error.
    pub(crate) async fn heal(&self) -> io::Result<()> {
        self.order(Order::Heal).await
    }

    /// Ends the listener and all its connections for good.
    pub(crate) async fn stop(&self) -> io::Result<()> {
        self.order(Order::Stop).await
    }

    /// Whether it accepts connections.
    pub(crate) fn is_alive(&self) -> bool {
        *self.alive.borrow()
    }

    async fn order(&self, order: Order) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        let gone = || io::Error::other("the listener has stopped");
        self.orders.send((order, done)).await.map_err(|_| gone())?;
        wait.await.map_err(|_| gone())?
    }
}

fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Binds `port` on loopback and serves `cloud` on it.
pub(crate) fn start(cloud: Arc<Cloud>, port: u16) -> io::Result<ListenerHandle> {
    let listener = reserve(SocketAddr::from(([127, 0, 0, 1], port)))?.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    let (orders, inbox) = mpsc::channel(16);
    let (alive_tx, alive) = watch::channel(true);
    tokio::spawn(run(cloud, address, listener, inbox, alive_tx));
    Ok(ListenerHandle { address, orders, alive })
}

type Inbox = mpsc::Receiver<(Order, oneshot::Sender<io::Result<()>>)>;

async fn run(
    cloud: Arc<Cloud>,
    address: SocketAddr,
    listener: TcpListener,
    mut inbox: Inbox,
    alive: watch::Sender<bool>,
) {
    let mut up = Some(listener);
    let mut reserved: Option<TcpSocket> = None;
    let (cut, _) = watch::channel(0_u64);
    loop {
        let order = match &up {
            None => inbox.recv().await,
            Some(listener) => tokio::select! {
                order = inbox.recv() => order,
                accepted = listener.accept() => {
                    match accepted {
                        Ok((stream, _)) => { tokio::spawn(serve(Arc::clone(&cloud), stream, cut.subscribe())); }
                        // Out of file descriptors, most likely: give the others a moment to close.
                        Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                    continue;
                }
            },
        };
        let Some((order, done)) = order else {
            cut.send_modify(|epoch| *epoch += 1);
            return;
        };
        let outcome = match order {
            Order::Kill | Order::Stop => {
                drop(up.take());
                let _ = alive.send_replace(false);
                cut.send_modify(|epoch| *epoch += 1);
                if matches!(order, Order::Stop) {
                    let _ = done.send(Ok(()));
                    return;
                }
                if reserved.is_none() {
                    reserved = reserve(address).ok();
                }
                Ok(())
            }
            Order::Heal if up.is_some() => Ok(()),
            Order::Heal => match revive(reserved.take(), address) {
                Ok(listener) => {
                    up = Some(listener);
                    let _ = alive.send_replace(true);
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        let _ = done.send(outcome);
    }
}

fn revive(reserved: Option<TcpSocket>, address: SocketAddr) -> io::Result<TcpListener> {
    match reserved {
        Some(socket) => socket.listen(BACKLOG),
        None => reserve(address)?.listen(BACKLOG),
    }
}

async fn serve(cloud: Arc<Cloud>, stream: TcpStream, mut cut: watch::Receiver<u64>) {
    let _ = stream.set_nodelay(true);
    let line = Arc::new(Line::default());
    let wire = TokioIo::new(Wire { stream, line: Arc::clone(&line) });
    let for_service = Arc::clone(&line);
    let service = service_fn(move |request| {
        let (cloud, line) = (Arc::clone(&cloud), Arc::clone(&for_service));
        async move { crate::exchange::handle(cloud, line, request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(256 * 1024)
        .serve_connection(wire, service);
    // Pinned here, so that it is dropped after the mark below and closes by RST.
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = &mut connection => {}
        () = line.reset_asked.notified() => {}
        _ = cut.changed() => line.reset.store(true, Ordering::Release),
    }
}

/// What a connection and the replies on it tell each other.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Close by RST instead of FIN.
    reset: AtomicBool,
    reset_asked: Notify,
    /// When the peer's end of stream or reset was seen, in wall ms; 0: not seen.
    left_at: AtomicU64,
}

impl Line {
    /// Ends the connection by RST. What has been written is on the wire already.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.reset_asked.notify_one();
    }

    /// Whether we end it, by script or by kill.
    pub(crate) fn is_cut(&self) -> bool {
        self.reset.load(Ordering::Acquire)
    }

    /// When the peer was seen to leave, in wall ms.
    pub(crate) fn left_at(&self) -> Option<u64> {
        Some(self.left_at.load(Ordering::Acquire)).filter(|at| *at != 0)
    }

    fn peer_left(&self) {
        let _ = self.left_at.compare_exchange(0, now_ms(), Ordering::AcqRel, Ordering::Acquire);
    }
}

/// A TCP stream that notices its peer leaving and closes by RST when told so.
struct Wire {
    stream: TcpStream,
    line: Arc<Line>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.line.reset.load(Ordering::Acquire) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match &polled {
            Poll::Ready(Ok(())) if buffer.filled().len() == before && buffer.remaining() > 0 => {
                self.line.peer_left();
            }
            Poll::Ready(Err(_)) => self.line.peer_left(),
            _ => {}
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Err(_)) = &polled {
            self.line.peer_left();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        if let Poll::Ready(Err(_)) = &polled {
            self.line.peer_left();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
