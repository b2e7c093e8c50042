use std::time::{Duration, Instant};

use http_body_util::BodyExt;

use crate::client::{asking, begin, credential, simulator};

/// A few hundred paced streams at once keep their pace; the figure of thousands is for a release build.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_paced_streams_keep_their_pace() {
    let simulator = simulator().await;
    let address = simulator.address("openai").unwrap();
    let started = Instant::now();
    let streams: Vec<_> = (0..300)
        .map(|_| {
            tokio::spawn(async move {
                let (path, body) = asking("openai", r#"Hi [[sim {"deltas":6,"pace_ms":100}]]"#, true);
                let response =
                    begin(address, "POST", &path, &[credential("openai")], body.to_string()).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes().len()
            })
        })
        .collect();
    for stream in streams {
        assert!(stream.await.unwrap() > 0);
    }
    let taken = started.elapsed();
    assert!(taken >= Duration::from_millis(500), "{taken:?}");
    assert!(taken < Duration::from_secs(10), "{taken:?}");
    assert!(simulator.journal().iter().all(|record| record.complete && record.deltas_sent == 6));
}

/// Figures, not a verdict: `cargo test -p simulator -- --ignored --nocapture figures`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute and measures the machine"]
async fn figures() {
    let simulator = simulator().await;
    let address = simulator.address("openai").unwrap();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned()
    };
    let started = Instant::now();
    let workers: Vec<_> = (0..16)
        .map(|_| {
            tokio::spawn(async move {
                let stream = tokio::net::TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let io = hyper_util::rt::TokioIo::new(stream);
                let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                for _ in 0..1_000 {
                    let (path, body) = asking("openai", "Hello", false);
                    let request = http::Request::post(path)
                        .header("host", "x")
                        .header(credential("openai").0, credential("openai").1)
                        .body(http_body_util::Full::new(bytes::Bytes::from(body.to_string())))
                        .unwrap();
                    sender.ready().await.unwrap();
                    let response = sender.send_request(request).await.unwrap();
                    response.into_body().collect().await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    println!("16,000 requests: {:?}, {}", started.elapsed(), resident());
    let started = Instant::now();
    let streams: Vec<_> = (0..5_000)
        .map(|_| {
            tokio::spawn(async move {
                let (path, body) = asking("openai", r#"Hi [[sim {"deltas":10,"pace_ms":1000}]]"#, true);
                let response =
                    begin(address, "POST", &path, &[credential("openai")], body.to_string()).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes().len()
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("5,000 streams, client and server in one process: {}", resident());
    for stream in streams {
        stream.await.unwrap();
    }
    println!("5,000 streams of 10 s: {:?}", started.elapsed());
}
