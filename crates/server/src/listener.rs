//! Accepting connections, and letting them go.

use crate::{
    StateSide,
    body::Answering,
    routes,
    stage::{Staged, Stages, Waits},
};
use engine::Engine;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// Bounds of the data plane's listener.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// Connections at a time; further ones wait in the system's backlog.
    pub max_connections: usize,
    /// A request's head must be complete after this time, and a new connection have sent something.
    pub head_timeout: Duration,
    /// A connection that rests between two calls is closed after this time; at most a day.
    pub idle_timeout: Duration,
    /// A request's body must be complete after this time.
    pub body_timeout: Duration,
    /// Bound of one request body in bytes.
    pub max_body: usize,
    /// A stream that is silent for this time gets a comment, again and again.
    pub keep_alive: Duration,
    /// Calls that are under way at shutdown get this long.
    pub drain: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(620),
            body_timeout: Duration::from_secs(60),
            max_body: 64 * 1024 * 1024,
            keep_alive: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }
}

/// Why the listener cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}. {hint}")]
pub struct ListenerError {
    /// Where it wanted to listen.
    pub address: SocketAddr,
    /// The system's words.
    pub cause: std::io::Error,
    /// What to do.
    pub hint: &'static str,
}

/// A bound listener of the data plane.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    settings: ServerSettings,
}

/// A request head may be this long; hyper answers 431 above it.
const MAX_HEAD: usize = 64 * 1024;
/// A caller whose machine no longer answers is gone after this time, also in the middle of a silent call.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// Connections that rest make room when less than this part of the places is free.
const SCARCE: usize = 20;

impl Listener {
    /// Binds.
    ///
    /// # Errors
    /// Where the address is taken or not ours; the error says what to do.
    pub async fn bind(address: SocketAddr, settings: ServerSettings) -> Result<Self, ListenerError> {
        match TcpListener::bind(address).await {
            Ok(socket) => Ok(Self { socket, settings }),
            Err(cause) => {
                let hint = match cause.kind() {
                    std::io::ErrorKind::AddrInUse => {
                        "Another program has this port: stop it or choose another port."
                    }
                    std::io::ErrorKind::PermissionDenied => {
                        "Ports below 1024 need a privilege: choose a higher port."
                    }
                    _ => "Choose an address of this machine.",
                };
                Err(ListenerError { address, cause, hint })
            }
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's error, where the socket has no address.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `shutdown` ends, then lets the calls under way finish for at most the drain time. Without a
    /// stateful side, what would keep state is refused.
    pub async fn serve(
        self,
        engine: Arc<Engine>,
        state: Option<StateSide>,
        shutdown: impl Future<Output = ()>,
    ) {
        let places = Arc::new(Semaphore::new(self.settings.max_connections));
        let graceful = hyper_util::server::graceful::GracefulShutdown::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let stream = tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of file descriptors, as a rule: wait instead of spinning.
                        tracing::warn!(%error, "accept failed");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = &mut shutdown => break,
            };
            let waits = Waits {
                head: self.settings.head_timeout,
                rest: self.settings.idle_timeout,
                places: Arc::clone(&places),
                scarce: self.settings.max_connections / SCARCE,
            };
            let connection = connection(stream, waits, Arc::clone(&engine), state.clone(), self.settings);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended");
                }
                drop(place);
            });
        }
        drop(self.socket);
        if tokio::time::timeout(self.settings.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("drain time is over; calls still under way are cut");
        }
    }
}

fn connection(
    stream: TcpStream,
    waits: Waits,
    engine: Arc<Engine>,
    state: Option<StateSide>,
    settings: ServerSettings,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send {
    if let Err(error) = engine::socket::attend(&stream, GONE_AFTER) {
        tracing::debug!(%error, "options of a connection could not be set");
    }
    let stages = Stages::new();
    let stream = Staged::new(stream, stages.clone(), waits);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (engine, state, call) = (Arc::clone(&engine), state.clone(), stages.call());
        async move {
            let response = routes::answer(engine, state, settings, request).await;
            Ok::<http::Response<Answering>, Infallible>(response.map(|body| Answering::new(body, call)))
        }
    });
    hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        .max_headers(100)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service)
}
