//! Upstreams and clients below HTTP: bytes as they are, for what no well-behaved peer sends.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How an upstream of raw bytes ends a connection after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Keeps it open and reads the next request.
    Keep,
    /// FIN.
    Close,
    /// RST.
    Reset,
}

/// An upstream that answers the n-th request on any connection with the n-th answer (the last one again and
/// again), cut into the given pieces with a pause between two.
pub(crate) async fn upstream(answers: Vec<(Vec<Vec<u8>>, End)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = std::sync::Arc::new(answers);
    let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answers, next) = (answers.clone(), next.clone());
            tokio::spawn(async move {
                stream.set_nodelay(true).unwrap();
                while read_request(&mut stream).await.is_some() {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let (pieces, end) = answers.get(index).or(answers.last()).unwrap();
                    for piece in pieces {
                        if stream.write_all(piece).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(3)).await;
                    }
                    match end {
                        End::Keep => {}
                        End::Close => return,
                        End::Reset => {
                            stream.set_zero_linger().unwrap();
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// Reads one request with a content-length; `None` where the peer has closed.
async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        if let Some(head) = all.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&all[..head]).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|value| value.trim().parse::<usize>().ok())
                .unwrap_or(0);
            if all.len() >= head + 4 + length {
                return Some(all);
            }
        }
        let mut buffer = [0; 8_192];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => all.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Sends the pieces, each in a segment of its own, and reads until the peer closes or is silent for `patience`.
pub(crate) async fn exchange(address: SocketAddr, pieces: &[&[u8]], patience: Duration) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    read_all(&mut stream, patience).await
}

/// What the peer sends until it closes (`true`) or is silent for `patience` (`false`).
pub(crate) async fn read_all(stream: &mut TcpStream, patience: Duration) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        match tokio::time::timeout(patience, stream.read(&mut buffer)).await {
            Err(_) => return (all, false),
            Ok(Ok(0) | Err(_)) => return (all, true),
            Ok(Ok(read)) => all.extend_from_slice(&buffer[..read]),
        }
    }
}
