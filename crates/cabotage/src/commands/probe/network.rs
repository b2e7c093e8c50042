//! The looking itself: addresses, round trips, TLS, one HEAD.

use super::certificate::{self, Certificate};
use crate::{
    clock::SystemClock,
    http1::{self, Answer, PATIENCE, Request},
};
use anyhow::{Context as _, anyhow};
use domain::Clock as _;
use http::HeaderMap;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use url::Url;

/// Connections that are made to measure the round trip.
pub(super) const CONNECTS: usize = 5;
/// Most addresses that are shown.
const ADDRESSES_MAX: usize = 16;
/// Light in a fibre: kilometres there and back in a millisecond.
const KM_PER_MS: f64 = 100.0;

/// How far away the machine that answers can be at most.
pub(super) fn reach_km(rtt: Duration) -> f64 {
    rtt.as_secs_f64() * 1e3 * KM_PER_MS
}

/// What was seen.
pub(super) struct Seen {
    /// What the name resolves to.
    pub(super) addresses: Vec<std::net::IpAddr>,
    /// The address that was connected to.
    pub(super) connected: SocketAddr,
    /// The shortest of [`CONNECTS`] connects.
    pub(super) rtt: Option<Duration>,
    /// TLS, where the URL has it.
    pub(super) tls: Option<Tls>,
    /// The answer, or why there is none.
    pub(super) http: Result<Http, String>,
}

/// TLS as it was seen.
pub(super) struct Tls {
    /// `TLS 1.3`; `-` where no handshake came to its end.
    pub(super) version: String,
    /// The first certificate that was shown.
    pub(super) certificate: Option<Certificate>,
    /// Why it is not trusted.
    pub(super) refused: Option<String>,
}

/// An answer without its body.
pub(super) struct Http {
    pub(super) method: &'static str,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
}

/// Looks at a URL. Sends one HEAD and, where that is not liked, one GET; no key, no body.
///
/// # Errors
/// Where the name does not resolve or nobody listens.
pub(super) fn look(url: &Url, roots: Option<&[u8]>) -> anyhow::Result<Seen> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let found = (host, port).to_socket_addrs().with_context(|| format!("{host} does not resolve"))?;
    let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    let (connected, rtt) = round_trip(&addresses)?;
    let roots = roots.map(pem).transpose()?.unwrap_or_default();
    let mut tls = None;
    let http = ["HEAD", "GET"].into_iter().find_map(|method| {
        let answer = once(url, connected, method, &roots, &mut tls);
        // Some hosts know no HEAD.
        let again =
            method == "HEAD" && answer.as_ref().is_ok_and(|answer| matches!(answer.status, 405 | 501));
        (!again).then_some(answer)
    });
    let http = http.unwrap_or_else(|| Err(anyhow!("no answer"))).map_err(|error| format!("{error:#}"));
    let mut shown: Vec<std::net::IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
    shown.dedup();
    Ok(Seen { addresses: shown, connected, rtt, tls, http })
}

fn round_trip(addresses: &[SocketAddr]) -> anyhow::Result<(SocketAddr, Option<Duration>)> {
    let clock = SystemClock::real();
    let mut last = anyhow!("the name has no address");
    for address in addresses {
        let mut best: Option<Duration> = None;
        for _ in 0..CONNECTS {
            let before = clock.monotonic();
            match TcpStream::connect_timeout(address, PATIENCE) {
                Ok(_closed) => {
                    let took = clock.monotonic().saturating_sub(before);
                    best = Some(best.map_or(took, |best| best.min(took)));
                }
                Err(error) => {
                    last = anyhow!("{address}: {error}");
                    break;
                }
            }
        }
        if best.is_some() {
            return Ok((*address, best));
        }
    }
    Err(last.context("nobody takes a connection"))
}

fn once(
    url: &Url,
    address: SocketAddr,
    method: &'static str,
    roots: &[CertificateDer<'static>],
    tls: &mut Option<Tls>,
) -> anyhow::Result<Http> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let request =
        Request { method, target: &target, host: &authority, headers: &[("accept", "*/*")], body: &[] };
    let answer = if url.scheme() == "https" {
        let mut stream = secured(stream, host, roots, tls)?;
        answer(&mut stream, &request)?
    } else {
        let mut stream = stream;
        answer(&mut stream, &request)?
    };
    Ok(Http { method, status: answer.status, headers: answer.headers })
}

fn answer<S: Read + Write>(stream: &mut S, request: &Request<'_>) -> anyhow::Result<Answer> {
    http1::exchange(stream, request)
}

/// The handshake. What was shown is noted, trusted or not; an untrusted host is asked nothing.
fn secured(
    mut stream: TcpStream,
    host: &str,
    roots: &[CertificateDer<'static>],
    tls: &mut Option<Tls>,
) -> anyhow::Result<StreamOwned<ClientConnection, TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let judge = rustls_platform_verifier::Verifier::new_with_extra_roots(
        roots.iter().cloned(),
        Arc::clone(&provider),
    )?;
    let recorder = Arc::new(Recorder { judge, seen: Mutex::default() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as _)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let mut connection = ClientConnection::new(Arc::new(config), name)?;
    let mut handshake = Ok(());
    while handshake.is_ok() && connection.is_handshaking() {
        handshake = connection.complete_io(&mut stream).map(|_| ());
    }
    let version = connection.protocol_version().and_then(|version| version.as_str().map(readable));
    let seen = recorder.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    *tls = Some(Tls {
        version: version.unwrap_or_else(|| "-".to_owned()),
        certificate: seen.and_then(|der| certificate::read(&der)),
        refused: handshake.as_ref().err().map(ToString::to_string),
    });
    handshake?;
    Ok(StreamOwned::new(connection, stream))
}

/// `TLSv1_3` → `TLS 1.3`.
fn readable(version: &str) -> String {
    version.replace("TLSv", "TLS ").replace('_', ".")
}

fn pem(bytes: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let list: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(bytes).filter_map(Result::ok).collect();
    if list.is_empty() { Err(anyhow!("--ca-file holds no CERTIFICATE block")) } else { Ok(list) }
}

/// Notes the certificate and leaves the judgement to the system's verifier.
#[derive(Debug)]
struct Recorder {
    judge: rustls_platform_verifier::Verifier,
    seen: Mutex<Option<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.clone().into_owned());
        self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
