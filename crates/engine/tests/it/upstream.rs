//! The way to an upstream: reuse, staleness, cancellation, proxy, CA bundle, client certificate.

use bytes::Bytes;
use domain::{Code, Fault, RetryClass};
use engine::upstream::{ConnectSettings, Pieces, Pool, PoolLimits, ProxyRule, TlsIdentity, TlsSettings};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

const NOW: Duration = Duration::from_secs(1);

fn settings(port: u16) -> ConnectSettings {
    ConnectSettings {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        proxy: None,
        connect_timeout: Duration::from_secs(2),
    }
}

fn request() -> http::Request<Pieces> {
    http::Request::post("/x").header("host", "upstream").body(Bytes::from_static(b"{}").into()).unwrap()
}

/// Reads one request head and its two-byte body.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 1024];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => text.extend_from_slice(&chunk[..read]),
        }
        if text.ends_with(b"{}") {
            return Some(String::from_utf8_lossy(&text).into_owned());
        }
    }
}

async fn answer<S: AsyncWrite + Unpin>(stream: &mut S, body: &str) {
    let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn whole(pool: &Arc<Pool>) -> Result<Bytes, Fault> {
    pool.send(request(), NOW).await?.body.collect(1_000, NOW).await
}

#[tokio::test]
async fn a_connection_is_used_again_after_its_answer_was_read_to_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = Pool::new(settings(listener.local_addr().unwrap().port()), PoolLimits::default());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, SeqCst);
            tokio::spawn(async move {
                while read_request(&mut stream).await.is_some() {
                    answer(&mut stream, "ok").await;
                }
            });
        }
    });
    for _ in 0..20 {
        assert_eq!(whole(&pool).await.unwrap(), "ok");
    }
    assert_eq!(connections.load(SeqCst), 1);
    assert_eq!(pool.idle(), 1);
    pool.sweep(NOW + Duration::from_secs(51));
    assert_eq!(pool.idle(), 0, "old connections are closed");
}

#[tokio::test]
async fn an_answer_that_is_not_read_to_the_end_is_not_reused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = Pool::new(settings(listener.local_addr().unwrap().port()), PoolLimits::default());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                read_request(&mut stream).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
                let _ = stream.read(&mut [0; 1]).await;
            });
        }
    });
    let mut reply = pool.send(request(), NOW).await.unwrap();
    assert_eq!(reply.body.next(NOW).await.unwrap().unwrap(), "half");
    drop(reply);
    assert_eq!(pool.idle(), 0);
}

#[tokio::test]
async fn a_kept_connection_that_the_upstream_closed_is_a_fault_of_our_own_or_no_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = Pool::new(settings(listener.local_addr().unwrap().port()), PoolLimits::default());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                read_request(&mut stream).await;
                answer(&mut stream, "ok").await;
            });
        }
    });
    for _ in 0..50 {
        match whole(&pool).await {
            Ok(body) => assert_eq!(body, "ok"),
            Err(fault) => {
                assert_eq!(fault.retry, RetryClass::SameAgain, "{fault}");
                assert!(!fault.counts_against_health);
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Tells when the peer has gone.
async fn until_gone(mut stream: TcpStream, gone: mpsc::UnboundedSender<Instant>) {
    loop {
        match stream.read(&mut [0; 64]).await {
            Ok(0) | Err(_) => {
                let _ = gone.send(Instant::now());
                return;
            }
            Ok(_) => {}
        }
    }
}

#[tokio::test]
async fn dropping_a_silent_call_closes_the_upstream_within_250_ms() {
    for answers_head in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(settings(listener.local_addr().unwrap().port()), PoolLimits::default());
        let (gone, mut went) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            if answers_head {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
                    .await
                    .unwrap();
            }
            until_gone(stream, gone).await;
        });
        let call = tokio::spawn(async move {
            let mut reply = pool.send(request(), NOW).await.unwrap();
            while reply.body.next(NOW).await.unwrap().is_some() {}
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let left = Instant::now();
        call.abort();
        let seen = tokio::time::timeout(Duration::from_millis(250), went.recv()).await;
        let seen = seen.expect("the upstream saw nothing").unwrap();
        assert!(seen.duration_since(left) < Duration::from_millis(250));
    }
}

#[tokio::test]
async fn refused_connections_and_endless_bodies_are_faults() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let pool = Pool::new(settings(port), PoolLimits::default());
    let fault = whole(&pool).await.unwrap_err();
    assert_eq!((fault.code, fault.retry), (Code::UpstreamUnreachable, RetryClass::NextCandidate));
    assert!(fault.counts_against_health);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = Pool::new(settings(listener.local_addr().unwrap().port()), PoolLimits::default());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"100\r\n").await.is_ok() && stream.write_all(&[b'x'; 256]).await.is_ok() {
            if stream.write_all(b"\r\n").await.is_err() {
                return;
            }
        }
    });
    assert_eq!(whole(&pool).await.unwrap_err().code, Code::UpstreamBadResponse);
}

struct Authority {
    ca: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

fn authority() -> Authority {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    Authority { ca, issuer: rcgen::Issuer::new(params, key) }
}

impl Authority {
    fn issue(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A TLS server that demands a client certificate of `clients` where given.
fn tls_server(listener: TcpListener, own: &(String, String), clients: Option<&Authority>) {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain = vec![CertificateDer::from_pem_slice(own.0.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(own.1.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        None => builder.with_no_client_auth().with_single_cert(chain, key).unwrap(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.ca.der().clone()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .unwrap();
            builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap()
        }
    };
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                while read_request(&mut stream).await.is_some() {
                    answer(&mut stream, "secret ok").await;
                }
            });
        }
    });
}

fn with_tls(port: u16, tls: &TlsSettings) -> ConnectSettings {
    ConnectSettings {
        host: "localhost".into(),
        tls: Some(TlsIdentity::build(tls).unwrap()),
        ..settings(port)
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_only_where_the_operator_says_so() {
    let ours = authority();
    for (replaces, name, works) in
        [(true, "localhost", true), (false, "localhost", true), (true, "other.example", false)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tls_server(listener, &ours.issue(name), None);
        let tls = TlsSettings {
            ca_bundle: Some(ours.ca.pem().into_bytes()),
            ca_replaces_system: replaces,
            ..TlsSettings::default()
        };
        let result = whole(&Pool::new(with_tls(port, &tls), PoolLimits::default())).await;
        match works {
            true => assert_eq!(result.unwrap(), "secret ok"),
            false => assert_eq!(result.unwrap_err().code, Code::UpstreamTls),
        }
        let stranger = Pool::new(
            with_tls(
                port,
                &TlsSettings {
                    ca_bundle: Some(authority().ca.pem().into_bytes()),
                    ca_replaces_system: true,
                    ..TlsSettings::default()
                },
            ),
            PoolLimits::default(),
        );
        assert_eq!(whole(&stranger).await.unwrap_err().code, Code::UpstreamTls);
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let (servers, clients) = (authority(), authority());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tls_server(listener, &servers.issue("localhost"), Some(&clients));
    let (certificate, key) = clients.issue("gateway");
    let mut tls = TlsSettings {
        ca_bundle: Some(servers.ca.pem().into_bytes()),
        ca_replaces_system: true,
        client_certificate: Some(certificate.into_bytes()),
        client_key: Some(key.into_bytes()),
    };
    assert_eq!(whole(&Pool::new(with_tls(port, &tls), PoolLimits::default())).await.unwrap(), "secret ok");
    tls.client_certificate = None;
    assert!(TlsIdentity::build(&tls).is_err(), "half an identity is refused");
    tls.client_key = None;
    assert!(whole(&Pool::new(with_tls(port, &tls), PoolLimits::default())).await.is_err());
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_and_bypassed_where_no_proxy_says_so() {
    let ours = authority();
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = upstream.local_addr().unwrap().port();
    tls_server(upstream, &ours.issue("localhost"), None);
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_port = proxy.local_addr().unwrap().port();
    let (asked, mut asks) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = proxy.accept().await {
            let asked = asked.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let allowed = head.contains("proxy-authorization: Basic eDp5");
                let _ = asked.send(head);
                if !allowed {
                    let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
                    return;
                }
                let mut onward = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    let tls = TlsSettings {
        ca_bundle: Some(ours.ca.pem().into_bytes()),
        ca_replaces_system: true,
        ..TlsSettings::default()
    };
    let rule = ProxyRule {
        host: "127.0.0.1".into(),
        port: proxy_port,
        authorization: Some("Basic eDp5".into()),
        no_proxy: Vec::new(),
    };
    let through = |rule: ProxyRule| {
        Pool::new(ConnectSettings { proxy: Some(rule), ..with_tls(port, &tls) }, PoolLimits::default())
    };
    assert_eq!(whole(&through(rule.clone())).await.unwrap(), "secret ok");
    assert!(asks.recv().await.unwrap().starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")));
    let refused = whole(&through(ProxyRule { authorization: None, ..rule.clone() })).await.unwrap_err();
    assert_eq!(refused.code, Code::UpstreamUnreachable);
    assert!(refused.detail.unwrap().contains("407"));
    asks.recv().await.unwrap();
    let bypass = ProxyRule { no_proxy: vec!["localhost".into()], ..rule };
    assert_eq!(whole(&through(bypass)).await.unwrap(), "secret ok");
    assert!(asks.try_recv().is_err(), "the proxy was not asked");
}
