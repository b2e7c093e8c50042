//! A small HTTP/1.1 client: one kept connection, a request rendered beforehand, no allocation per request. What it
//! costs is taken from the same machine that the gate runs on.

use anyhow::{Context as _, Result, bail, ensure};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How a body's end is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
}

/// The head of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// 0 for a request.
    pub(super) status: u16,
    /// Of the head, in bytes.
    pub(super) length: usize,
    pub(super) framing: Framing,
}

/// Headers of a message at most.
const HEADERS: usize = 64;

impl Head {
    /// Of a request; `None` while it is not whole.
    pub(super) fn request(bytes: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = request.parse(bytes)? else { return Ok(None) };
        Ok(Some(Self { status: 0, length, framing: framing(request.headers)? }))
    }

    /// Of an answer; `None` while it is not whole.
    fn answer(bytes: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = answer.parse(bytes)? else { return Ok(None) };
        Ok(Some(Self { status: answer.code.unwrap_or(0), length, framing: framing(answer.headers)? }))
    }
}

fn framing(headers: &[httparse::Header<'_>]) -> Result<Framing> {
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value)?;
            return Ok(Framing::Length(text.trim().parse().context("content-length")?));
        }
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Framing::Chunked);
        }
    }
    Ok(Framing::Length(0))
}

/// A connection.
pub(super) struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and hands each run of body bytes to `see`. Anything but a whole 200 is an error.
    pub(super) async fn send(&mut self, request: &[u8], mut see: impl FnMut(&[u8])) -> Result<()> {
        self.socket.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.fill().await?;
            if let Some(head) = Head::answer(&self.buffer)? {
                break head;
            }
        };
        self.buffer.drain(..head.length);
        ensure!(head.status == 200, "status {}: {}", head.status, String::from_utf8_lossy(&self.buffer));
        match head.framing {
            Framing::Length(length) => {
                while self.buffer.len() < length {
                    self.fill().await?;
                }
                see(&self.buffer);
            }
            Framing::Chunked => {
                while !self.chunks(&mut see)? {
                    self.fill().await?;
                }
            }
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        self.buffer.reserve(8 * 1024);
        ensure!(self.socket.read_buf(&mut self.buffer).await? > 0, "the connection was closed in the middle");
        Ok(())
    }

    /// Takes the whole chunks out of the buffer. True after the last one.
    fn chunks(&mut self, see: &mut impl FnMut(&[u8])) -> Result<bool> {
        let mut at = 0;
        let mut last = false;
        while !last {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let Some(line) = memchr::memchr(b'\n', rest) else { break };
            let digits = rest.get(..line).unwrap_or_default();
            let digits = std::str::from_utf8(digits)?.trim_end().split(';').next().unwrap_or_default();
            let Ok(size) = usize::from_str_radix(digits, 16) else {
                bail!("`{digits}` is no size of a chunk")
            };
            let Some(data) = rest.get(line + 1..line + 1 + size) else { break };
            if rest.len() < line + size + 3 {
                break;
            }
            see(data);
            at += line + size + 3;
            last = size == 0;
        }
        self.buffer.drain(..at);
        Ok(last)
    }
}
