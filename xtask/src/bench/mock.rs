//! The mock upstream: answers every request at once with the same completion, or with a stream whose deltas tell
//! when they were sent.

use super::client::{Framing, Head};
use anyhow::{Context as _, Result};
use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::LocalSet,
};

/// Deltas of a stream.
const DELTAS: u32 = 40;
/// Time between two of them.
const PACE: Duration = Duration::from_millis(5);
/// Length of a whole answer in bytes, about.
const ANSWER: usize = 700;

const IDENTITY: &str = r#""id":"chatcmpl-bench","created":1760000000,"model":"bench""#;
const USAGE: &str = r#""usage":{"prompt_tokens":200,"completion_tokens":150,"total_tokens":350}"#;

/// When this process began to measure: deltas count from here.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since this process began to measure.
pub(super) fn nanos() -> u64 {
    u64::try_from(EPOCH.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The mock, on a thread of its own for the rest of the process.
pub(super) struct Mock {
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Mock {
    pub(super) fn start() -> Result<Self> {
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).context("the mock upstream's socket")?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let _ = nanos();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                let Ok(listener) = TcpListener::from_std(socket) else { return };
                while let Ok((socket, _)) = listener.accept().await {
                    // An error is a gate that has closed its connection.
                    tokio::task::spawn_local(async move { serve(socket).await.ok() });
                }
            });
        });
        Ok(Self { address })
    }
}

async fn serve(mut socket: TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let whole = completion();
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        buffer.clear();
        let head = loop {
            if let Some(head) = Head::request(&buffer)? {
                break head;
            }
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let body = match head.framing {
            Framing::Length(length) => {
                while buffer.len() < head.length + length {
                    anyhow::ensure!(socket.read_buf(&mut buffer).await? > 0, "half a body");
                }
                buffer.get(head.length..).unwrap_or_default()
            }
            Framing::Chunked => {
                while !buffer.ends_with(b"0\r\n\r\n") {
                    anyhow::ensure!(socket.read_buf(&mut buffer).await? > 0, "half a body");
                }
                buffer.get(head.length..).unwrap_or_default()
            }
        };
        if memchr::memmem::find(body, br#""stream":true"#).is_some() {
            stream(&mut socket).await?;
        } else {
            socket.write_all(&whole).await?;
        }
    }
}

async fn stream(socket: &mut TcpStream) -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    let mut pace = tokio::time::interval(PACE);
    let mut text = String::with_capacity(1024);
    for number in 0..DELTAS {
        pace.tick().await;
        text.clear();
        let role = if number == 0 { r#""role":"assistant","# } else { "" };
        chunk(&mut text, &format!(r#"{{{role}"content":"t={} word "}}"#, nanos()), "null", "")?;
        socket.write_all(text.as_bytes()).await?;
    }
    text.clear();
    chunk(&mut text, "{}", r#""stop""#, "")?;
    let end = format!(
        "data: {{{IDENTITY},\"object\":\"chat.completion.chunk\",\"choices\":[],{USAGE}}}\n\ndata: [DONE]\n\n"
    );
    write!(text, "{:x}\r\n{end}\r\n0\r\n\r\n", end.len())?;
    socket.write_all(text.as_bytes()).await?;
    Ok(())
}

/// One event in one HTTP chunk.
fn chunk(text: &mut String, delta: &str, finish: &str, more: &str) -> Result<()> {
    let event = format!(
        "data: {{{IDENTITY},\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]{more}}}\n\n"
    );
    write!(text, "{:x}\r\n{event}\r\n", event.len())?;
    Ok(())
}

fn completion() -> Vec<u8> {
    let text = "an answer of some length ".repeat(ANSWER / 25);
    let body = format!(
        r#"{{{IDENTITY},"object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"logprobs":null,"finish_reason":"stop"}}],{USAGE}}}"#
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
    format!("{head} {}\r\n\r\n{body}", body.len()).into_bytes()
}
