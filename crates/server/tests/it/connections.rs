//! Callers' connections between their calls: how long they are kept, and who has to go.

use crate::{gateway::Gateway, raw::read_all};
use engine::{Engine, Timeouts};
use server::{Listener, ServerSettings};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

const HEAD: Duration = Duration::from_millis(600);
const IDLE: Duration = Duration::from_millis(2_400);
/// A question that is answered without an upstream.
const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n";

/// Another listener of a gateway, with short times.
async fn listen(engine: &Arc<Engine>, max_connections: usize) -> SocketAddr {
    let settings = ServerSettings {
        head_timeout: HEAD,
        idle_timeout: IDLE,
        max_connections,
        ..ServerSettings::default()
    };
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
    let address = listener.address().unwrap();
    tokio::spawn(listener.serve(engine.clone(), None, std::future::pending()));
    address
}

async fn ask(stream: &mut TcpStream) {
    stream.write_all(ASK).await.unwrap();
    let (answer, closed) = read_all(stream, HEAD / 3).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && !closed, "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_connection_rests_for_longer_than_a_head_may_take_and_not_for_ever() {
    let gateway = Gateway::start_with(Timeouts::default()).await;
    let address = listen(&gateway.engine, 100).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    ask(&mut stream).await;
    // Rests that are together longer than one may be.
    for _ in 0..2 {
        tokio::time::sleep(IDLE / 2 + HEAD / 3).await;
        ask(&mut stream).await;
    }
    let since = Instant::now();
    let (rest, closed) = read_all(&mut stream, IDLE * 4).await;
    let took = since.elapsed();
    assert!(closed && rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    assert!(took > IDLE - HEAD && took < IDLE * 2, "{took:?}");
}

#[tokio::test]
async fn a_head_that_takes_too_long_is_answered_with_408() {
    let gateway = Gateway::start_with(Timeouts::default()).await;
    let address = listen(&gateway.engine, 100).await;
    for earlier_calls in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..earlier_calls {
            ask(&mut stream).await;
            tokio::time::sleep(HEAD * 2).await;
        }
        // Drop by drop: no byte of a head makes its time longer.
        let since = Instant::now();
        let (mut reading, mut writing) = stream.into_split();
        let dripping = tokio::spawn(async move {
            for byte in b"GET / HTTP/1.1\r\nx-drip: drip drip drip drip drip drip drip" {
                if writing.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(HEAD / 20).await;
            }
        });
        let mut answer = Vec::new();
        let _reset = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut answer).await;
        let took = since.elapsed();
        dripping.abort();
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
        assert!(took > HEAD / 2 && took < HEAD * 3, "{took:?}");
    }
}

/// D15: connections that rest must not keep callers out.
#[tokio::test]
async fn who_rests_makes_room_where_places_are_scarce() {
    let gateway = Gateway::start_with(Timeouts::default()).await;
    let address = listen(&gateway.engine, 4).await;
    let mut resting = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream).await;
        resting.push(stream);
    }
    let since = Instant::now();
    let mut late = TcpStream::connect(address).await.unwrap();
    late.write_all(ASK).await.unwrap();
    let (answer, _) = read_all(&mut late, HEAD * 3).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
    assert!(since.elapsed() < HEAD * 5, "{:?}", since.elapsed());
}
