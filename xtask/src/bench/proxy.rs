//! The bare hyper hop: the least that a gateway on hyper can cost. It reads no body and edits no header; each
//! connection of a caller has one to the upstream.

use anyhow::{Context as _, Result};
use hyper::{
    Request, body::Incoming, client::conn::http1 as client, server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{net::SocketAddr, rc::Rc};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::Mutex,
    task::{LocalSet, spawn_local},
};

/// Serves until the process is killed.
pub(super) fn serve(listen: SocketAddr, upstream: SocketAddr) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(listen).await.context("the hop's socket")?;
        loop {
            let (socket, _) = listener.accept().await?;
            // An error is a caller that has gone.
            spawn_local(async move { hop(socket, upstream).await.ok() });
        }
    })
}

async fn hop(caller: TcpStream, upstream: SocketAddr) -> Result<()> {
    caller.set_nodelay(true)?;
    let upstream = TcpStream::connect(upstream).await?;
    upstream.set_nodelay(true)?;
    let (sender, connection) = client::handshake::<_, Incoming>(TokioIo::new(upstream)).await?;
    spawn_local(connection);
    // HTTP/1.1 serves one request after the other, so that nobody ever waits for this.
    let sender = Rc::new(Mutex::new(sender));
    let service = service_fn(move |request: Request<Incoming>| {
        let sender = Rc::clone(&sender);
        async move {
            let mut sender = sender.lock().await;
            sender.ready().await?;
            sender.send_request(request).await
        }
    });
    server::Builder::new().serve_connection(TokioIo::new(caller), service).await?;
    Ok(())
}
