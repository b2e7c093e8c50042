//! Upstreams that speak no proper HTTP, or proper HTTP with a stream that is none.

use crate::{
    faults::{
        BAD,
        Expect::{self, Answer, Cut, Error},
        UNAVAILABLE, audit, call, matches, timely, timeouts, verdict,
    },
    gateway::Gateway,
    raw::{self, End},
};
use domain::record::{Outcome, Record};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn chat_json(content: &str) -> String {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5.4-2026-03-05",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content, "refusal": null}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
    .to_string()
}

fn chunk(delta: Value, finish: Value) -> String {
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.4-2026-03-05",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n")
}

fn http(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n").into_bytes();
    all.extend_from_slice(body);
    all
}

/// An answer in chunks of HTTP, one per piece, without the last one.
fn chunked(content_type: &str, pieces: &[&str]) -> Vec<Vec<u8>> {
    let mut all = vec![http(&format!("content-type: {content_type}\r\ntransfer-encoding: chunked"), b"")];
    all.extend(pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len()).into_bytes()));
    all
}

async fn over(address: SocketAddr) -> Gateway {
    Gateway::start_over(timeouts(), &[("openai", address)]).await
}

#[tokio::test]
async fn bytes_that_are_no_http_are_bad_answers() {
    let reply = chat_json("hello");
    let json_head = |length: usize| format!("content-type: application/json\r\ncontent-length: {length}");
    let whole: Vec<(&str, Vec<Vec<u8>>, End, Expect)> = vec![
        (
            "U17 shorter than declared",
            vec![http(&json_head(reply.len() + 10), reply.as_bytes())],
            End::Close,
            BAD,
        ),
        (
            "U17 longer than declared",
            vec![http(&json_head(reply.len() - 10), reply.as_bytes())],
            End::Close,
            BAD,
        ),
        (
            "U17 bad chunk size",
            vec![http(
                "content-type: application/json\r\ntransfer-encoding: chunked",
                format!("zz\r\n{reply}\r\n0\r\n\r\n").as_bytes(),
            )],
            End::Close,
            BAD,
        ),
        ("U17 no last chunk", chunked("application/json", &[&reply]), End::Close, BAD),
        ("U17 no HTTP", vec![b"220 smtp upstream-canary-9f31 ESMTP\r\n".to_vec()], End::Close, BAD),
        (
            "U17 two lengths",
            vec![http(&format!("{}\r\ncontent-length: 1", json_head(reply.len())), reply.as_bytes())],
            End::Close,
            BAD,
        ),
        (
            "U17 huge head",
            vec![http(
                &format!("{}\r\nx-canary: {}", json_head(reply.len()), "a".repeat(200_000)),
                reply.as_bytes(),
            )],
            End::Close,
            BAD,
        ),
        ("U14 nothing, then FIN", vec![vec![]], End::Close, UNAVAILABLE),
        ("U14 nothing, then RST", vec![vec![]], End::Reset, UNAVAILABLE),
        ("U14 half a head, then RST", vec![b"HTTP/1.1 200 OK\r\ncontent-".to_vec()], End::Reset, UNAVAILABLE),
        (
            "U21 gzip that nobody asked for",
            vec![http(
                "content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 5",
                b"\x1f\x8b\x08\x00\x00",
            )],
            End::Keep,
            BAD,
        ),
        (
            "U21 identity that says gzip",
            vec![http(&format!("{}\r\ncontent-encoding: gzip", json_head(reply.len())), reply.as_bytes())],
            End::Keep,
            BAD,
        ),
        (
            "close-delimited",
            vec![http("content-type: application/json", reply.as_bytes())],
            End::Close,
            Answer,
        ),
    ];
    let mut wrong = Vec::new();
    for (name, pieces, end, expected) in whole {
        let gateway = over(raw::upstream(vec![(pieces, end)]).await).await;
        let got = timely(&gateway, call("gpt-5.4@openai", false)).await;
        let seen = if got.0 == 200 && got.2.contains("hello") { Answer } else { verdict(name, &got, false) };
        if !matches(expected, seen) {
            wrong.push(format!("{name}: {expected:?} expected, {seen:?} got: {}", got.2));
        }
        audit(name, &gateway);
        // The connection that carried it is not used again: the next call gets its own answer or fault.
        let again = timely(&gateway, call("gpt-5.4@openai", false)).await;
        assert_eq!(again.0, got.0, "{name}");
    }
    let role = chunk(json!({"role": "assistant", "content": ""}), Value::Null);
    let one = chunk(json!({"content": "w1 "}), Value::Null);
    let last = chunk(json!({"content": "w400"}), Value::Null);
    let stop = chunk(json!({}), "stop".into());
    let done = "data: [DONE]\n\n";
    let sse = "text/event-stream";
    let end = b"0\r\n\r\n".to_vec();
    let with_end = |mut pieces: Vec<Vec<u8>>| {
        pieces.push(end.clone());
        pieces
    };
    let streams: Vec<(&str, Vec<Vec<u8>>, End, Expect)> = vec![
        ("U14 RST after the role", chunked(sse, &[&role]), End::Reset, BAD),
        ("U15 RST after content", chunked(sse, &[&role, &one]), End::Reset, Cut),
        (
            "U16 FIN after the last chunk, no terminal",
            with_end(chunked(sse, &[&role, &one, &last])),
            End::Close,
            Cut,
        ),
        ("U16 finish_reason but no [DONE], RST", chunked(sse, &[&role, &one, &last]), End::Reset, Cut),
        (
            "U17 bad chunk size",
            {
                let mut all = chunked(sse, &[&role, &one]);
                all.push(b"zz\r\n".to_vec());
                all
            },
            End::Close,
            Cut,
        ),
        (
            "U23 [DONE] twice",
            with_end(chunked(sse, &[&role, &one, &last, &stop, done, done])),
            End::Keep,
            Answer,
        ),
        (
            "U23 frames after [DONE]",
            with_end(chunked(sse, &[&role, &one, &last, &stop, done, &one])),
            End::Keep,
            Answer,
        ),
        (
            "U13 [DONE] and no end of the body",
            chunked(sse, &[&role, &one, &last, &stop, done]),
            End::Keep,
            Answer,
        ),
        (
            "P99 error frame",
            with_end(chunked(
                sse,
                &[
                    &role,
                    &one,
                    "data: {\"error\":{\"message\":\"upstream-canary-9f31 overloaded\",\"type\":\"server_error\",\"code\":\"overloaded\",\"param\":null}}\n\n",
                ],
            )),
            End::Keep,
            Cut,
        ),
        (
            "U24 error as first frame",
            with_end(chunked(
                sse,
                &[
                    "data: {\"error\":{\"message\":\"upstream-canary-9f31\",\"type\":\"server_error\",\"code\":null,\"param\":null}}\n\n",
                ],
            )),
            End::Keep,
            Error(502, "upstream_error"),
        ),
        (
            "P94 CRLF",
            with_end(chunked(
                sse,
                &[&role, &one, &last, &stop, done]
                    .map(|frame| frame.replace('\n', "\r\n"))
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>(),
            )),
            End::Keep,
            Answer,
        ),
        (
            "U22 no JSON in a frame",
            with_end(chunked(sse, &[&role, &one, "data: {broken\n\n"])),
            End::Keep,
            Cut,
        ),
        (
            "U21 gzip stream",
            vec![http(
                "content-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: 5",
                b"\x1f\x8b\x08\x00\x00",
            )],
            End::Keep,
            BAD,
        ),
    ];
    for (name, pieces, end, expected) in streams {
        let gateway = over(raw::upstream(vec![(pieces, end)]).await).await;
        let mut got = timely(&gateway, call("gpt-5.4@openai", true)).await;
        got.2 = got.2.replace("\r\n", "\n");
        let seen = verdict(name, &got, false);
        if !matches(expected, seen) {
            wrong.push(format!("{name}: {expected:?} expected, {seen:?} got: {}", got.2));
        }
        audit(name, &gateway);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_the_caller_nothing() {
    let reply = chat_json("hello");
    let answer =
        http(&format!("content-type: application/json\r\ncontent-length: {}", reply.len()), reply.as_bytes());
    // Answers, and closes or resets right after: the next call finds a connection that is about to be dead.
    for end in [End::Close, End::Reset] {
        let gateway = over(raw::upstream(vec![(vec![answer.clone()], end)]).await).await;
        for _ in 0..50 {
            let (status, _, body) = timely(&gateway, call("gpt-5.4@openai", false)).await;
            assert_eq!(status, 200, "U36 {end:?}: {body}");
        }
        audit("U36", &gateway);
    }
    // The second request on a kept connection is never answered: once more on a fresh one, and only once.
    let gateway = over(
        raw::upstream(vec![
            (vec![answer.clone()], End::Keep),
            (vec![], End::Close),
            (vec![answer], End::Keep),
        ])
        .await,
    )
    .await;
    for _ in 0..2 {
        let (status, _, body) = timely(&gateway, call("gpt-5.4@openai", false)).await;
        assert_eq!(status, 200, "U36: {body}");
    }
    let (attempts, outcomes, _) = gateway.counts();
    assert_eq!((attempts, outcomes), (3, 3), "the attempt on the dead connection is on record too");
    let failed = gateway.journal.records().iter().any(
        |record| matches!(record, Record::Outcome(it) if matches!(it.outcome, Outcome::Failed(_)) && !it.last),
    );
    assert!(failed);
    audit("U36", &gateway);
}
