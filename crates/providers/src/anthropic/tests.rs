//! What Anthropic's folder promises.

use crate::{
    evidence::BodyMarks,
    golden::{Said, endpoint, errors, fault, headers, line, show, status},
};
use dialects::WireErrorKind;
use domain::record::ServedBy;

#[test]
fn requests() {
    let rows = [
        "provider = 'anthropic'\nmodel = 'claude-opus-5-5'",
        "provider = 'anthropic'\nmodel = 'claude-opus-5-5'\nauth = 'bearer'\napi_version = '2023-01-01'",
        "provider = 'anthropic'\nmodel = 'claude-opus-5-5'\nendpoint = 'http://127.0.0.1:4101'",
        "provider = 'anthropic'\nmodel = 'claude-opus-5-5'\nendpoint = 'https://relay.example/anthropic/v1'",
    ];
    insta::assert_snapshot!(rows.map(show).join("\n"));
}

#[test]
fn mistakes() {
    let rows = ["provider = 'anthropic'\nmodel = 'm'\napi_version = '2023-13-01'\nregion = 'us'"];
    insta::assert_snapshot!(rows.map(errors).join("\n"));
}

#[test]
fn faults() {
    let deployment = endpoint("provider = 'anthropic'\nmodel = 'm'");
    let spent = Said {
        kind: WireErrorKind::Invalid,
        message: "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
        ..status(400)
    };
    assert_eq!(line(&fault(&deployment, &spent)), "insufficient_quota NextCandidate upstream");
    let limited = Said {
        kind: WireErrorKind::RateLimit,
        headers: &[
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T10:59:37Z"),
        ],
        ..status(429)
    };
    assert_eq!(
        line(&fault(&deployment, &limited)),
        "rate_limit_exceeded NextCandidate upstream after 30000ms"
    );
    let overloaded = Said { kind: WireErrorKind::Overloaded, message: "Overloaded", ..status(529) };
    assert_eq!(line(&fault(&deployment, &overloaded)), "upstream_error NextCandidate upstream unwell");
    let foreign =
        Said { kind: WireErrorKind::ForeignSignature, message: "Invalid `signature`", ..status(400) };
    assert_eq!(line(&fault(&deployment, &foreign)), "upstream_rejected NextCandidate upstream");
}

#[test]
fn evidence() {
    let deployment = endpoint("provider = 'anthropic'\nmodel = 'm'");
    let verdict = |rows, id| deployment.evidence(&headers(rows), BodyMarks { id, bytes: b"" }).verdict;
    assert_eq!(verdict(&[("anthropic-ratelimit-tokens-limit", "1")], None), ServedBy::Consistent);
    assert_eq!(verdict(&[("via", "1.1 google")], None), ServedBy::Unknown);
    assert_eq!(verdict(&[], Some("msg_01AbC")), ServedBy::Confirmed);
    assert_eq!(verdict(&[], Some("msg_bdrk_01")), ServedBy::Contradicted);
    assert_eq!(verdict(&[("request-id", "req_011")], Some("msg_vrtx_01")), ServedBy::Contradicted);
}
