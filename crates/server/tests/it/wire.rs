//! The wire below HTTP libraries: callers that leave, dawdle, lie about lengths or speak in odd pieces; and model
//! output that tries to be more than text.

use crate::{
    failover::rule,
    faults::audit,
    gateway::{Gateway, KEEP_ALIVE, KEY},
    raw,
};
use domain::record::{Outcome, Record};
use engine::Timeouts;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PATIENCE: Duration = Duration::from_millis(400);

fn head(extra: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n{extra}\r\n"
    )
}

fn body(stream: bool) -> String {
    json!({"model": "gpt-5.4", "stream": stream, "messages": [{"role": "user", "content": "[[sim {\"say\":\"one two three four\"}]]"}]}).to_string()
}

/// Statuses of the answers in `bytes`, and the last answer's text.
fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    text.match_indices("HTTP/1.1 ").filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok()).collect()
}

#[tokio::test]
async fn leaving_at_each_chunk_leaves_one_outcome() {
    // One chunk each 15 ms, so that the caller can leave between any two.
    for (cloud, model) in [
        ("openai", "gpt-5.4@openai"),
        ("anthropic", "claude-opus-5-5@anthropic"),
        ("bedrock-us-east-2", "claude-opus-5-5@bedrock-claude"),
        ("vertex-europe-west4", "gemini-3-pro@vertex-gemini"),
    ] {
        let gateway = Gateway::start_with(Timeouts::default()).await;
        let content = "[[sim {\"deltas\":8,\"pace_ms\":15}]]";
        let text =
            json!({"model": model, "stream": true, "messages": [{"role": "user", "content": content}]})
                .to_string();
        let request = format!("{}{text}", head(&format!("content-length: {}\r\n", text.len())));
        for leave_after in 0..12 {
            let before = gateway.counts();
            let mut stream = TcpStream::connect(gateway.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut buffer = [0; 4_096];
            let mut whole = Vec::new();
            for _ in 0..leave_after {
                match tokio::time::timeout(Duration::from_secs(2), stream.read(&mut buffer)).await {
                    Ok(Ok(read)) if read > 0 => whole.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
                if whole.ends_with(b"0\r\n\r\n") {
                    break;
                }
            }
            if leave_after % 2 == 1 {
                // RST instead of FIN.
                stream.set_zero_linger().unwrap();
            }
            drop(stream);
            let left = Instant::now();
            loop {
                let now = gateway.counts();
                let open = gateway.simulator.journal().iter().any(|exchange| exchange.finished_at.is_none());
                if now.0 == now.1 && now.0 == before.0 + 1 && !open {
                    break;
                }
                // Leaving before the request was read is leaving before there was a call.
                if leave_after == 0 && now == before && left.elapsed() > Duration::from_millis(300) {
                    break;
                }
                assert!(
                    left.elapsed() < Duration::from_secs(1),
                    "{cloud} after {leave_after}: {before:?} {now:?}"
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        audit(cloud, &gateway);
        let records = gateway.journal.records();
        let outcomes = || {
            records.iter().filter_map(|record| match record {
                Record::Outcome(outcome) => Some(outcome),
                _ => None,
            })
        };
        assert!(outcomes().any(|outcome| outcome.outcome == Outcome::CallerLeft), "{cloud}");
        assert!(outcomes().any(|outcome| outcome.outcome == Outcome::Done), "{cloud}");
        for outcome in outcomes() {
            assert!(matches!(outcome.outcome, Outcome::CallerLeft | Outcome::Done), "{cloud}: {outcome:?}");
        }
        assert_eq!(gateway.in_flight(), 0, "{cloud}");
    }
}

#[tokio::test]
async fn slow_heads_and_bodies_are_ended() {
    let gateway = Gateway::start().await;
    for (part, told) in [
        (String::new(), vec![]),
        ("POST /v1/chat/completions HTTP/1.1\r\nhost: g".into(), vec![408]),
        (head("content-length: 100\r\n"), vec![408]),
    ] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(part.as_bytes()).await.unwrap();
        let (answer, closed) = raw::read_all(&mut stream, Duration::from_secs(4)).await;
        assert!(began.elapsed() < Duration::from_secs(4), "{part:?}");
        let statuses = statuses(&answer);
        assert!(closed && statuses == told, "{part:?}: {statuses:?} {closed}");
    }
    // A head that drips is no better than none.
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let began = Instant::now();
    for byte in head("content-length: 2\r\n").as_bytes() {
        if stream.write_all(&[*byte]).await.is_err() || began.elapsed() > Duration::from_secs(5) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "a dripping head keeps its connection");
    assert!(gateway.simulator.journal().is_empty());
    assert_eq!(gateway.chat(serde_json::from_str(&body(false)).unwrap()).await.0, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let gateway = Gateway::start().await;
    let mut all = String::new();
    for number in 0..50 {
        let text = json!({"model": "gpt-5.4", "messages": [{"role": "user", "content": format!("[[sim {{\"say\":\"number <{number}>\"}}]]")}]}).to_string();
        let _ = write!(all, "{}{text}", head(&format!("content-length: {}\r\n", text.len())));
    }
    let (answer, _) = raw::exchange(gateway.address, &[all.as_bytes()], Duration::from_secs(1)).await;
    let text = String::from_utf8_lossy(&answer);
    assert_eq!(statuses(&answer), vec![200; 50]);
    let order: Vec<usize> = (0..50).filter_map(|number| text.find(&format!("number <{number}>"))).collect();
    assert_eq!(order.len(), 50, "each answer holds its own text");
    assert!(order.is_sorted(), "in order");
    audit("D6", &gateway);
}

#[tokio::test]
async fn huge_heads_are_refused() {
    let gateway = Gateway::start().await;
    let many: String = (0..5_000).fold(String::new(), |mut all, n| {
        let _ = write!(all, "x-{n}: 1\r\n");
        all
    });
    let cases = [
        ("one header of 1 MiB", head(&format!("x-big: {}\r\ncontent-length: 2\r\n", "a".repeat(1 << 20)))),
        ("5,000 headers", head(&format!("{many}content-length: 2\r\n"))),
        ("a URL of 100 KiB", format!("GET /{} HTTP/1.1\r\nhost: g\r\n\r\n", "a".repeat(100 << 10))),
    ];
    for (name, text) in cases {
        let (answer, closed) = raw::exchange(gateway.address, &[text.as_bytes()], PATIENCE).await;
        let statuses = statuses(&answer);
        assert!(closed, "{name}");
        assert!(matches!(statuses[..], [] | [431 | 414 | 400]), "{name}: {statuses:?}");
    }
    assert!(gateway.simulator.journal().is_empty());
}

#[tokio::test]
async fn oversized_bodies_are_refused_before_they_have_come() {
    let gateway = Gateway::start().await;
    // Declared: refused on the head alone.
    let declared = head("content-length: 99999999999\r\n");
    let (answer, closed) =
        raw::exchange(gateway.address, &[declared.as_bytes(), b"{\"model\":"], PATIENCE).await;
    assert_eq!(statuses(&answer), [413], "{}", String::from_utf8_lossy(&answer));
    assert!(closed, "the rest is not waited for");
    let text = String::from_utf8_lossy(&answer);
    let error: Value = serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "body_too_large");
    // Chunked: refused at the bound, however long it would go on.
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(head("transfer-encoding: chunked\r\n").as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let mut sent = 0;
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let writes = async {
        for _ in 0..1_000 {
            if writing.write_all(chunk.as_bytes()).await.is_err() {
                break;
            }
            sent += 0x1_0000;
            tokio::task::yield_now().await;
        }
    };
    let reads = async {
        let mut buffer = [0; 4_096];
        while let Ok(read) = reading.read(&mut buffer).await {
            if read == 0 {
                break;
            }
            answer.extend_from_slice(&buffer[..read]);
        }
    };
    tokio::join!(writes, reads);
    assert_eq!(statuses(&answer), [413], "{}", String::from_utf8_lossy(&answer));
    assert!(sent < 16 << 20, "{sent} bytes were taken of a body that may have 1 MiB");
    assert!(gateway.simulator.journal().is_empty());
    assert_eq!(gateway.counts(), (0, 0, 0));
}

#[tokio::test]
async fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let gateway = Gateway::start().await;
    let text = body(false);
    let length = text.len();
    let smuggled = format!("GET /v1/models HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {KEY}\r\n\r\n");
    let cases = [
        (
            "length and chunked",
            format!("{}0\r\n\r\n{smuggled}", head("content-length: 5\r\ntransfer-encoding: chunked\r\n")),
        ),
        (
            "chunked and length",
            format!("{}0\r\n\r\n{smuggled}", head("transfer-encoding: chunked\r\ncontent-length: 5\r\n")),
        ),
        (
            "two lengths",
            format!(
                "{}{text}{smuggled}",
                head(&format!("content-length: {length}\r\ncontent-length: 5\r\n"))
            ),
        ),
        (
            "a list of lengths",
            format!("{}{text}{smuggled}", head(&format!("content-length: {length}, 5\r\n"))),
        ),
        ("negative length", format!("{}{text}", head("content-length: -5\r\n"))),
        ("signed length", format!("{}{text}", head(&format!("content-length: +{length}\r\n")))),
        ("length in hex", format!("{}{text}", head("content-length: 0x10\r\n"))),
        ("space before the colon", format!("{}{text}", head(&format!("content-length : {length}\r\n")))),
        (
            "folded header",
            format!("{}{text}", head(&format!("x-a: b\r\n c\r\ncontent-length: {length}\r\n"))),
        ),
        ("chunked twice", format!("{}0\r\n\r\n{smuggled}", head("transfer-encoding: chunked, chunked\r\n"))),
        (
            "chunked is not last",
            format!("{}0\r\n\r\n{smuggled}", head("transfer-encoding: chunked, gzip\r\n")),
        ),
        ("unknown encoding", format!("{}0\r\n\r\n{smuggled}", head("transfer-encoding: xchunked\r\n"))),
        ("gzip, chunked", format!("{}0\r\n\r\n{smuggled}", head("transfer-encoding: gzip, chunked\r\n"))),
        (
            "bad chunk size",
            format!("{}zz\r\n{text}\r\n0\r\n\r\n{smuggled}", head("transfer-encoding: chunked\r\n")),
        ),
        (
            "chunk size overflow",
            format!("{}fffffffffffffffff\r\n{text}\r\n0\r\n\r\n", head("transfer-encoding: chunked\r\n")),
        ),
        (
            "chunk without its end",
            format!("{}2\r\n{{}}x\r\n0\r\n\r\n{smuggled}", head("transfer-encoding: chunked\r\n")),
        ),
        (
            "1.0 and chunked",
            format!(
                "{}0\r\n\r\n{smuggled}",
                head("transfer-encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0")
            ),
        ),
        ("NUL in a value", format!("{}{text}", head(&format!("x-a: b\0c\r\ncontent-length: {length}\r\n")))),
        ("CR in a value", format!("{}{text}", head(&format!("x-a: b\rc\r\ncontent-length: {length}\r\n")))),
        ("no version", format!("POST /v1/chat/completions\r\nhost: g\r\n\r\n{smuggled}")),
        ("HTTP/3.0", head("content-length: 0\r\n").replace("HTTP/1.1", "HTTP/3.0")),
        ("TLS to a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03".to_owned()),
    ];
    let mut wrong = Vec::new();
    for (name, text) in cases {
        let (answer, closed) = raw::exchange(gateway.address, &[text.as_bytes()], PATIENCE).await;
        let statuses = statuses(&answer);
        let text = String::from_utf8_lossy(&answer);
        // Refused with 4xx, or closed without a word; never a second answer, never the smuggled request's.
        let refused = matches!(statuses[..], [] | [400..=499 | 501 | 505]);
        if !refused || !closed || text.contains("\"object\":\"list\"") {
            wrong.push(format!("{name}: {statuses:?}, closed: {closed}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(gateway.simulator.journal().is_empty(), "nothing was sent upstream");
    assert_eq!(gateway.chat(serde_json::from_str(&body(false)).unwrap()).await.0, 200, "it still answers");
}

#[tokio::test]
async fn expect_continue_is_answered_and_its_silence_ended() {
    let gateway = Gateway::start().await;
    let text = body(false);
    let ask = head(&format!("expect: 100-continue\r\ncontent-length: {}\r\n", text.len()));
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut buffer = [0; 1_024];
    let read = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut buffer)).await.unwrap().unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&buffer[..read]));
    stream.write_all(text.as_bytes()).await.unwrap();
    let (answer, _) = raw::read_all(&mut stream, PATIENCE).await;
    assert_eq!(statuses(&answer), [200]);
    // The body never comes.
    let (answer, closed) = raw::exchange(gateway.address, &[ask.as_bytes()], Duration::from_secs(3)).await;
    assert!(closed);
    assert_eq!(statuses(&answer), [100, 408], "{}", String::from_utf8_lossy(&answer));
    // Too large: refused without asking for it.
    let large = head("expect: 100-continue\r\ncontent-length: 99999999\r\n");
    let (answer, _) = raw::exchange(gateway.address, &[large.as_bytes()], PATIENCE).await;
    assert_eq!(statuses(&answer), [413]);
}

#[tokio::test]
async fn json_that_could_be_read_in_two_ways_is_refused_with_its_place() {
    let gateway = Gateway::start().await;
    let with = |member: &str| {
        format!("{{\"model\":\"gpt-5.4\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]{member}}}")
    };
    let deep = |depth: usize| with(&format!(",\"metadata\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    let refused: Vec<(&str, String)> = vec![
        ("too deep", deep(200)),
        ("much too deep", deep(400_000)),
        ("model twice", with(",\"model\":\"claude-opus-5-5\"")),
        ("model twice, escaped", with(",\"mod\\u0065l\":\"claude-opus-5-5\"")),
        ("stream twice", with(",\"stream\":false,\"stream\":true")),
        ("max_tokens twice", with(",\"max_tokens\":1,\"max_tokens\":100000")),
        ("messages twice", with(",\"messages\":[]")),
        ("role twice", "{\"model\":\"gpt-5.4\",\"messages\":[{\"role\":\"user\",\"role\":\"system\",\"content\":\"hi\"}]}".into()),
        ("tool name twice", with(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"name\":\"b\"}}]")),
        ("NaN", with(",\"temperature\":NaN")),
        ("Infinity", with(",\"temperature\":-Infinity")),
        ("leading zero", with(",\"max_tokens\":01")),
        ("plus", with(",\"max_tokens\":+1")),
        ("hex", with(",\"max_tokens\":0x10")),
        ("single quotes", "{'model':'gpt-5.4'}".into()),
        ("comment", with("/* x */")),
        ("trailing comma", with(",")),
        ("control character", with(",\"user\":\"a\nb\"")),
        ("bad escape", with(",\"user\":\"\\x41\"")),
        ("lone high surrogate", with(",\"user\":\"\\ud800\"")),
        ("lone low surrogate", with(",\"user\":\"\\udc00\"")),
        ("surrogates the wrong way round", with(",\"user\":\"\\udc00\\ud800\"")),
        ("BOM", format!("\u{feff}{}", with(""))),
        ("two values", format!("{}{}", with(""), with(""))),
        ("a list", "[]".into()),
        ("a string", "\"gpt-5.4\"".into()),
        ("UTF-16", "{\0\"\0m\0".into()),
        ("1e400", with(",\"max_tokens\":1e400")),
        ("negative", with(",\"max_tokens\":-1")),
        ("a number for the model", "{\"model\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}".into()),
        ("Model", "{\"Model\":\"gpt-5.4\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}".into()),
    ];
    let mut wrong = Vec::new();
    for (name, text) in refused {
        let began = Instant::now();
        let (status, headers, answer) = gateway.post(KEY, text).await;
        let error: Value = serde_json::from_str(&answer).unwrap();
        let code = headers.get("x-cabotage-code").map(|code| code.to_str().unwrap().to_owned());
        if status != 400
            || error["error"]["code"].as_str() != code.as_deref()
            || began.elapsed() > Duration::from_millis(500)
        {
            wrong.push(format!("{name}: {status} {answer}"));
        }
    }
    let reached = gateway.simulator.journal().len();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(reached, 0);
    // What is odd but means one thing is taken, and what was checked is what is sent.
    let taken = [
        deep(100),
        with(",\"Model\":\"claude-opus-5-5\",\"MODEL\":\"x\""),
        with(",\"user\":\"\\ud83d\\ude00\\u0000\""),
        with(",\"temperature\":1e-400"),
        format!(" \r\n\t{} \n", with("")),
    ];
    for text in taken {
        let (status, headers, answer) = gateway.post(KEY, text.clone()).await;
        assert_eq!(status, 200, "{text}: {answer}");
        assert_eq!(headers["x-cabotage-deployment"], "openai");
        let seen = gateway.simulator.journal();
        let seen: Value = serde_json::from_str(seen.last().unwrap().body.as_deref().unwrap()).unwrap();
        assert_eq!(seen["model"], "gpt-5.4");
    }
}

#[tokio::test]
async fn pieces_of_a_request_do_not_stall_each_other() {
    let gateway = Gateway::start().await;
    for stream in [false, true] {
        let text = body(stream);
        let head = head(&format!("content-length: {}\r\n", text.len()));
        let mut took = Vec::new();
        for _ in 0..15 {
            let mut socket = TcpStream::connect(gateway.address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            let began = Instant::now();
            socket.write_all(head.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
            let (front, back) = text.as_bytes().split_at(text.len() / 2);
            socket.write_all(front).await.unwrap();
            tokio::task::yield_now().await;
            socket.write_all(back).await.unwrap();
            let mut all = Vec::new();
            let mut buffer = [0; 8_192];
            while !(all.ends_with(b"0\r\n\r\n") || all.ends_with(b"}")) {
                let read = socket.read(&mut buffer).await.unwrap();
                assert!(read > 0);
                all.extend_from_slice(&buffer[..read]);
            }
            took.push(began.elapsed());
        }
        took.sort();
        assert!(took[7] < Duration::from_millis(30), "stream={stream}: {took:?}");
    }
}

#[tokio::test]
async fn what_a_model_says_stays_text() {
    let gateway = Gateway::start().await;
    let evil = "a\n\nevent: x\ndata: {\"forged\":1}\n\ndata: [DONE]\n\n\r\r\r\nid: 7\nretry: 1\n: c\u{2028}\u{2029}\u{85}\u{0}\u{1b}[31m\u{feff}</script>\"\\ 😀 end";
    for model in [
        "gpt-5.4@openai",
        "gpt-5.4@azure-westeurope",
        "claude-opus-5-5@anthropic",
        "claude-opus-5-5@bedrock-claude",
        "gemini-3-pro@vertex-gemini",
        "gemini-3-pro@gemini",
        "gpt-oss-120b@vllm",
    ] {
        let directive = format!("[[sim {}]]", json!({"say": evil, "deltas": 5, "reasoning": evil}));
        let call = |stream| json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": directive}]});
        let (status, _, body) = gateway.chat(call(false)).await;
        assert_eq!(status, 200, "{model}: {body}");
        let reply: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(reply["choices"][0]["message"]["content"], evil, "{model}");
        let (status, _, body) = gateway.chat(call(true)).await;
        assert_eq!(status, 200, "{model}");
        let mut text = String::new();
        let mut done = 0;
        // As a careful client reads: CR, LF and CRLF all end a line.
        for line in body.split(['\r', '\n']).filter(|line| !line.is_empty()) {
            if line.starts_with(':') {
                continue;
            }
            let data =
                line.strip_prefix("data: ").unwrap_or_else(|| panic!("{model}: a forged line: {line:?}"));
            assert_eq!(done, 0, "{model}: after the end: {data}");
            if data == "[DONE]" {
                done += 1;
                continue;
            }
            let chunk: Value = serde_json::from_str(data).unwrap();
            assert!(chunk.get("forged").is_none());
            text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        }
        assert_eq!((text.as_str(), done), (evil, 1), "{model}");
    }
}

#[tokio::test]
async fn silence_in_a_stream_is_broken_by_comments_and_by_nothing_else() {
    for (cloud, model, action) in [
        ("openai", "gpt-5.4@openai", json!({"kind": "stall", "after_deltas": 2})),
        // What the upstream says here is not for the caller.
        (
            "anthropic",
            "claude-opus-5-5@anthropic",
            json!({"kind": "stall_with_pings", "after_deltas": 2, "every_ms": 20}),
        ),
    ] {
        let gateway = Gateway::start_with(Timeouts::default()).await;
        gateway.simulator.script(cloud, vec![rule(action)]).unwrap();
        let text = json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        let text = text.to_string();
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        let request = format!("{}{text}", head(&format!("content-length: {}\r\n", text.len())));
        stream.write_all(request.as_bytes()).await.unwrap();
        // It is never silent for long, so the reading ends by the clock.
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        assert!(tokio::time::timeout(7 * KEEP_ALIVE, reading).await.is_err(), "{cloud}: it is still open");
        let answer = String::from_utf8(answer).unwrap();
        // A slow machine may be silent before the content as well; behind it nothing else comes.
        let last = answer.rfind("data: ").unwrap();
        let comments = answer[last..].matches(": keep-alive\n\n").count();
        assert!(
            (2..=6).contains(&comments),
            "{cloud}: {comments} comments in seven times their span: {answer}"
        );
    }
}

#[tokio::test]
async fn a_slow_reader_slows_the_upstream() {
    let gateway = Gateway::start_with(Timeouts::default()).await;
    let text = json!({"model": "gpt-5.4@openai", "stream": true, "messages": [{"role": "user", "content": "[[sim {\"deltas\":200000}]]"}]}).to_string();
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!("{}{text}", head(&format!("content-length: {}\r\n", text.len())));
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let sent = gateway.simulator.journal().last().unwrap().bytes_sent;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let later = gateway.simulator.journal().last().unwrap().bytes_sent;
    assert_eq!(sent, later, "the upstream goes on while nobody reads");
    assert!(sent < 24 << 20, "{sent} bytes are held for a caller that reads nothing");
    drop(stream);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(gateway.simulator.journal().last().unwrap().client_disconnected);
    audit("D1", &gateway);
}
