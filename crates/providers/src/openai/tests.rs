//! What OpenAI's folder promises.

use crate::{
    evidence::BodyMarks,
    golden::{Said, endpoint, errors, fault, headers, line, show, status},
};
use dialects::WireErrorKind;
use domain::record::ServedBy;

#[test]
fn requests() {
    let rows = [
        "provider = 'openai'\nmodel = 'gpt-5.4'",
        "provider = 'openai'\nmodel = 'gpt-5.4'\nregion = 'eu'",
        "provider = 'openai'\nmodel = 'gpt-5.4'\nwire_model = 'gpt-5.4-2026-03-01'\nendpoint = 'http://127.0.0.1:4101'",
        "provider = 'openai'\nmodel = 'gpt-5.4'\nendpoint = 'https://relay.example/openai/v9/'",
        "provider = 'openai'\nmodel = 'gpt-5.4'\nregion = 'eu'\ndialect = 'openai-responses'",
    ];
    insta::assert_snapshot!(rows.map(show).join("\n"));
}

#[test]
fn embeddings_have_their_own_url() {
    let target = |toml: &str| endpoint(toml).embeddings_target().map(ToString::to_string);
    let azure = "provider = 'azure'\nresource = 'acme'\nmodel = ";
    for (toml, expected) in [
        ("provider = 'openai'\nmodel = 'm'".to_owned(), Some("/v1/embeddings")),
        (
            "provider = 'openai'\nmodel = 'm'\nendpoint = 'https://relay.example/v9'".to_owned(),
            Some("/v9/embeddings"),
        ),
        (format!("{azure}'m'"), Some("/openai/v1/embeddings")),
        (
            format!("{azure}'m/x'\napi_version = '2024-10-21'"),
            Some("/openai/deployments/m%2Fx/embeddings?api-version=2024-10-21"),
        ),
        (format!("{azure}'claude-opus-5-5'"), None),
        ("provider = 'vllm'\nmodel = 'm'".to_owned(), Some("/v1/embeddings")),
        ("provider = 'deepseek'\nmodel = 'm'".to_owned(), None),
        ("provider = 'anthropic'\nmodel = 'm'".to_owned(), None),
        ("provider = 'gemini'\nmodel = 'm'".to_owned(), None),
    ] {
        assert_eq!(target(&toml).as_deref(), expected, "{toml}");
    }
}

#[test]
fn mistakes() {
    let rows = [
        "provider = 'openai'",
        "provider = 'openai'\nmodel = 'm'\nregion = 'mars'",
        "provider = 'openai'\nmodel = 'a b'\nresource = 'x'\nauth = 'sigv4'\ndialect = 'gemini'\nendpoint = 'http://api.example.com'",
        "provider = 'openai'\nmodel = 'm'\nendpoint = 'https://key:secret@api.openai.com'",
    ];
    insta::assert_snapshot!(rows.map(errors).join("\n"));
}

#[test]
fn faults() {
    let deployment = endpoint("provider = 'openai'\nmodel = 'm'");
    let limited = Said { headers: &[("retry-after", "7")], ..status(429) };
    let quota = Said {
        kind: WireErrorKind::Quota,
        code: "insufficient_quota",
        message: "You exceeded your current quota",
        ..status(429)
    };
    let key =
        Said { kind: WireErrorKind::Auth, message: "Incorrect API key provided: sk-…abcd", ..status(401) };
    let long = Said {
        kind: WireErrorKind::ContextLength,
        code: "context_length_exceeded",
        message: "maximum context length is 128000 tokens",
        ..status(400)
    };
    let table = [
        (limited, "rate_limit_exceeded NextCandidate upstream after 7000ms"),
        (quota, "insufficient_quota NextCandidate upstream"),
        (key, "upstream_auth NextCandidate upstream unwell"),
        (long, "context_length_exceeded Stop caller"),
        (status(302), "upstream_bad_response NextCandidate upstream unwell"),
        (status(400), "invalid_request Stop caller"),
        (status(403), "upstream_auth NextCandidate upstream unwell"),
        (status(404), "upstream_model_unavailable NextCandidate upstream unwell"),
        (status(408), "upstream_timeout NextCandidate upstream unwell"),
        (status(410), "upstream_model_unavailable NextCandidate upstream unwell"),
        (status(413), "body_too_large Stop caller"),
        (status(415), "upstream_rejected NextCandidate upstream"),
        (status(422), "invalid_request Stop caller"),
        (status(500), "upstream_error NextCandidate upstream unwell"),
        (status(503), "upstream_error NextCandidate upstream unwell"),
        (status(504), "upstream_timeout NextCandidate upstream unwell"),
        (status(529), "upstream_error NextCandidate upstream unwell"),
        (status(999), "upstream_bad_response NextCandidate upstream unwell"),
    ];
    for (said, expected) in table {
        assert_eq!(line(&fault(&deployment, &said)), expected, "{}", said.status);
    }
}

#[test]
fn evidence() {
    let deployment = endpoint("provider = 'openai'\nmodel = 'm'");
    let verdict = |rows, body: &str| {
        deployment.evidence(&headers(rows), BodyMarks { id: None, bytes: body.as_bytes() }).verdict
    };
    assert_eq!(verdict(&[], ""), ServedBy::Unknown);
    assert_eq!(verdict(&[("server", "cloudflare"), ("cf-ray", "1-SIN")], ""), ServedBy::Unknown);
    assert_eq!(verdict(&[("openai-organization", "acme")], ""), ServedBy::Consistent);
    assert_eq!(verdict(&[("x-request-id", "req_1")], ""), ServedBy::Consistent);
    assert_eq!(
        verdict(&[("openai-version", "2020-10-01"), ("apim-request-id", "x")], ""),
        ServedBy::Contradicted
    );
    assert_eq!(verdict(&[], r#"{"prompt_filter_results":[]}"#), ServedBy::Contradicted);
    assert_eq!(
        verdict(&[("openai-organization", "acme"), ("x-cabotage-simulated", "true")], ""),
        ServedBy::Simulated
    );
}
