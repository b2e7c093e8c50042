//! One HTTP/1.1 exchange on a connection of its own, blocking: what the command line needs to ask a gateway's
//! admin listener, the simulator's control port, or, for `probe`, any host. No pool, no redirects, no proxy.

use anyhow::{Context as _, anyhow, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};
use url::Url;

/// Longest head of an answer, in bytes.
const HEAD_MAX: usize = 64 * 1024;
/// Longest answer, head included, in bytes.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// Most headers of an answer.
const HEADERS_MAX: usize = 128;
/// How long a connection may take, and how long a silence may be.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Request<'a> {
    /// `GET`, `POST` …
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
    /// The `host` header.
    pub(crate) host: &'a str,
    /// Further headers.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The body; empty for none.
    pub(crate) body: &'a [u8],
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body, unchunked.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty where it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Asks a listener of ours, by plain HTTP.
///
/// # Errors
/// Where `base` is not an `http://` URL, or nobody answers there within [`PATIENCE`].
pub(crate) fn ask(
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<Answer> {
    let url = Url::parse(base).with_context(|| format!("`{base}` is not a URL"))?;
    if url.scheme() != "http" {
        bail!("`{base}` is not an http:// URL");
    }
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let mut stream = connect(host, port).with_context(|| format!("nobody answers at {base}"))?;
    let authority = format!("{host}:{port}");
    let target = format!("{}{path}", url.path().trim_end_matches('/'));
    let request = Request { method, target: &target, host: &authority, headers, body };
    exchange(&mut stream, &request).with_context(|| format!("{base} gave no answer"))
}

/// Connects to the first address that takes us.
pub(crate) fn connect(host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let mut last = anyhow!("{host} has no address");
    for address in (host.trim_matches(['[', ']']), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Sends a request and reads the answer to its end.
///
/// # Errors
/// What the connection says, or that the answer is no HTTP or longer than 16 MiB.
pub(crate) fn exchange<S: Read + Write>(stream: &mut S, request: &Request<'_>) -> anyhow::Result<Answer> {
    send(stream, request)?;
    let mut reader = Reader { stream, bytes: Vec::new(), ended: false };
    let (status, headers, head) = reader.head()?;
    reader.bytes.drain(..head);
    let header = |name: HeaderName| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let no_body = request.method == "HEAD" || matches!(status, 204 | 304);
    let length = header(http::header::CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
    let chunked =
        header(http::header::TRANSFER_ENCODING).is_some_and(|text| text.eq_ignore_ascii_case("chunked"));
    let body = match (no_body, chunked, length) {
        (true, ..) => Vec::new(),
        (_, true, _) => reader.chunked()?,
        (_, _, Some(length)) => reader.take(length)?,
        _ => reader.rest()?,
    };
    Ok(Answer { status, headers, body })
}

/// Writes a request.
pub(crate) fn send<S: Write>(stream: &mut S, request: &Request<'_>) -> std::io::Result<()> {
    let Request { method, target, host, headers, body } = request;
    let agent = providers::endpoint::user_agent();
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\nconnection: close\r\n");
    for (name, value) in *headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || *method == "POST" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes)?;
    stream.flush()
}

/// An answer as it comes.
struct Reader<'a, S> {
    stream: &'a mut S,
    bytes: Vec<u8>,
    ended: bool,
}

impl<S: Read> Reader<'_, S> {
    /// Reads more. False at the end.
    fn more(&mut self) -> anyhow::Result<bool> {
        let mut piece = [0; 16 * 1024];
        let read = match self.stream.read(&mut piece) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            // A TLS peer that does not say goodbye: what is missing shows by the lengths.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error.into()),
        };
        self.bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
        self.ended = read == 0;
        if self.bytes.len() > ANSWER_MAX {
            bail!("the answer is longer than {ANSWER_MAX} bytes");
        }
        Ok(!self.ended)
    }

    /// Status, headers and the length of the head.
    fn head(&mut self) -> anyhow::Result<(u16, HeaderMap, usize)> {
        loop {
            let mut list = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut parsed = httparse::Response::new(&mut list);
            if let httparse::Status::Complete(length) = parsed.parse(&self.bytes)? {
                let mut headers = HeaderMap::new();
                for header in parsed.headers.iter() {
                    let name = HeaderName::from_bytes(header.name.as_bytes())?;
                    headers.append(name, HeaderValue::from_bytes(header.value)?);
                }
                return Ok((parsed.code.unwrap_or_default(), headers, length));
            }
            if self.bytes.len() > HEAD_MAX || !self.more()? {
                bail!("the answer has no whole HTTP head");
            }
        }
    }

    fn take(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        while self.bytes.len() < length {
            if !self.more()? {
                bail!("the answer broke off: {} of {length} bytes came", self.bytes.len());
            }
        }
        let rest = self.bytes.split_off(length);
        Ok(std::mem::replace(&mut self.bytes, rest))
    }

    fn rest(&mut self) -> anyhow::Result<Vec<u8>> {
        while self.more()? {}
        Ok(std::mem::take(&mut self.bytes))
    }

    fn chunked(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let (line, size) = loop {
                match httparse::parse_chunk_size(&self.bytes) {
                    Ok(httparse::Status::Complete(found)) => break found,
                    Ok(httparse::Status::Partial) => {}
                    Err(_) => bail!("the answer's chunks cannot be read"),
                }
                if !self.more()? {
                    bail!("the answer broke off between two chunks");
                }
            };
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size == 0 {
                return Ok(body);
            }
            if size > ANSWER_MAX || body.len() > ANSWER_MAX {
                bail!("the answer is longer than {ANSWER_MAX} bytes");
            }
            self.take(line)?;
            body.append(&mut self.take(size)?);
            self.take(2)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives its answer in pieces of one byte.
    struct Slow(Vec<u8>, usize);

    impl Read for Slow {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let Some(byte) = self.0.get(self.1) else { return Ok(0) };
            out[0] = *byte;
            self.1 += 1;
            Ok(1)
        }
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn answer(text: &str) -> anyhow::Result<Answer> {
        exchange(&mut Slow(text.into(), 0), &Request { method: "GET", target: "/", ..Request::default() })
    }

    #[test]
    fn every_framing_is_read_and_a_cut_one_is_an_error() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello",
        ] {
            assert_eq!(answer(text).unwrap().text(), "hello", "{text}");
        }
        for text in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhe",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "SSH-2.0-x\r\n\r\n",
        ] {
            assert!(answer(text).is_err(), "{text}");
        }
    }
}
