//! One connection: name, TCP, proxy, TLS, and hyper's handshake on top.

use super::{driver::Driver, pieces::Pieces, proxy, proxy::ProxyRule, tls::TlsIdentity};
use domain::{Code, Fault};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{sync::Arc, time::Duration};
use tokio::net::TcpStream;

/// Where to connect and how.
#[derive(Clone, Debug)]
pub struct ConnectSettings {
    /// Host name or address.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
    /// TLS, or plain where the operator allowed it (loopback, private host).
    pub tls: Option<TlsIdentity>,
    /// Proxy, where one is to be used.
    pub proxy: Option<ProxyRule>,
    /// Bound on name resolution and TCP together.
    pub connect_timeout: Duration,
}

/// TLS and proxy handshakes get this much more than the TCP connection.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A provider whose address no longer answers is gone after this time, however long it may think.
const GONE_AFTER: Duration = Duration::from_secs(30);

/// Why no connection came about.
pub type ConnectFault = Fault;

/// Connects.
pub(super) async fn connect(
    settings: &ConnectSettings,
) -> Result<(SendRequest<Pieces>, Driver), ConnectFault> {
    let (host, port) = match &settings.proxy {
        Some(rule) if !rule.bypasses(&settings.host) => (&rule.host, rule.port),
        _ => (&settings.host, settings.port),
    };
    let mut stream =
        match tokio::time::timeout(settings.connect_timeout, TcpStream::connect((&**host, port))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable_upstream(&error)),
            Err(_) => {
                return Err(Fault::upstream(
                    Code::UpstreamUnreachable,
                    "the provider could not be connected to in time",
                ));
            }
        };
    crate::socket::attend(&stream, GONE_AFTER).map_err(|error| unreachable_upstream(&error))?;
    if let Some(rule) = settings.proxy.as_ref().filter(|rule| !rule.bypasses(&settings.host)) {
        let tunnel = proxy::tunnel(&mut stream, rule, &settings.host, settings.port);
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, tunnel).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(unreachable_upstream(&error)),
            Err(_) => return Err(Fault::upstream(Code::UpstreamTimeout, "the proxy did not answer in time")),
        }
    }
    match &settings.tls {
        None => handshake(stream).await,
        Some(identity) => {
            let name = ServerName::try_from(settings.host.to_string()).map_err(|error| {
                Fault::upstream(Code::UpstreamTls, "the provider's host name cannot be used with TLS")
                    .because(&error.to_string())
            })?;
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&identity.config));
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream)).await {
                Ok(Ok(stream)) => handshake(stream).await,
                Ok(Err(error)) => Err(Fault::upstream(Code::UpstreamTls, "TLS with the provider failed")
                    .because(&error.to_string())),
                Err(_) => Err(Fault::upstream(
                    Code::UpstreamTimeout,
                    "TLS with the provider did not finish in time",
                )),
            }
        }
    }
}

async fn handshake<S>(stream: S) -> Result<(SendRequest<Pieces>, Driver), ConnectFault>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(128)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| {
            Fault::upstream(Code::UpstreamUnreachable, "the connection to the provider failed")
                .because(&error.to_string())
        })?;
    Ok((sender, Driver::new(connection)))
}

/// hyper's read buffer, and with it the bound of an answer's head.
const MAX_HEAD: usize = 64 * 1024;

fn unreachable_upstream(error: &std::io::Error) -> ConnectFault {
    Fault::upstream(Code::UpstreamUnreachable, "the provider could not be reached")
        .because(&error.to_string())
}
