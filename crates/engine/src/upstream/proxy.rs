//! An HTTPS proxy on the way to an upstream: CONNECT, and the hosts that are reached without it.

use bytes::BytesMut;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A proxy for CONNECT and the hosts that bypass it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProxyRule {
    /// Host of the proxy.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// `Proxy-Authorization` value, where the proxy wants one.
    pub authorization: Option<Arc<str>>,
    /// Host names or suffixes (`.example.com`, `*`) that are reached directly.
    pub no_proxy: Vec<Arc<str>>,
}

/// Why a proxy setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("proxy: {0}; expected http://[user:password@]host:port")]
pub struct ProxyRuleError(pub String);

impl ProxyRule {
    /// True where `host` is to be reached without the proxy.
    #[must_use]
    pub fn bypasses(&self, host: &str) -> bool {
        self.no_proxy.iter().any(|entry| {
            let entry = entry.trim();
            if entry == "*" {
                return true;
            }
            let name = entry.trim_start_matches('.');
            host.eq_ignore_ascii_case(name)
                || (host.len() > name.len()
                    && host
                        .get(host.len() - name.len()..)
                        .is_some_and(|tail| tail.eq_ignore_ascii_case(name))
                    && host.as_bytes().get(host.len() - name.len() - 1) == Some(&b'.'))
        })
    }
}

/// The proxy's answer to CONNECT may not be longer than this.
const MAX_ANSWER: usize = 8 * 1024;

/// Asks the proxy behind `stream` for a tunnel to `host:port`.
pub(super) async fn tunnel(
    stream: &mut TcpStream,
    rule: &ProxyRule,
    host: &str,
    port: u16,
) -> std::io::Result<()> {
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n");
    if let Some(value) = &rule.authorization {
        request.push_str("proxy-authorization: ");
        request.push_str(value);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = BytesMut::with_capacity(512);
    // Byte by byte would be safe but slow; the tunnel's first byte is ours, so nothing may follow the head.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > MAX_ANSWER {
            return Err(std::io::Error::other("the proxy's answer to CONNECT is too long"));
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "the proxy closed during CONNECT",
            ));
        }
    }
    let status = answer.get(9..12).and_then(|code| std::str::from_utf8(code).ok()).unwrap_or("");
    if answer.starts_with(b"HTTP/1.") && status == "200" {
        return Ok(());
    }
    Err(std::io::Error::other(format!("the proxy refused the tunnel with status {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_matches_names_and_suffixes_only_at_dots() {
        let rule = ProxyRule {
            host: "proxy".into(),
            port: 3128,
            authorization: None,
            no_proxy: vec![".internal".into(), "api.example.com".into()],
        };
        for (host, bypass) in [
            ("vllm.internal", true),
            ("internal", true),
            ("notinternal", false),
            ("API.example.com", true),
            ("eu.api.example.com", true),
            ("example.com", false),
        ] {
            assert_eq!(rule.bypasses(host), bypass, "{host}");
        }
    }
}
