//! What Bedrock's folder promises. Signatures are held against botocore's in `tests/it`.

use crate::{
    evidence::BodyMarks,
    golden::{Said, endpoint, errors, fault, headers, line, show, status},
};
use dialects::WireErrorKind;
use domain::record::ServedBy;

const ARN: &str =
    "arn:aws:bedrock:us-east-2:123456789012:inference-profile/us.anthropic.claude-opus-5-5-v1:0";

#[test]
fn requests() {
    let arn = format!(
        "provider = 'bedrock'\nmodel = 'claude-opus-5-5'\nwire_model = '{ARN}'\nregion = 'us-east-2'"
    );
    let rows = [
        "provider = 'bedrock'\nmodel = 'claude-opus-5-5'\nwire_model = 'anthropic.claude-opus-5-5-v1:0'\nregion = 'eu-central-1'",
        "provider = 'bedrock'\nmodel = 'claude-opus-5-5'\nwire_model = 'anthropic.claude-opus-5-5-v1:0'\nregion = 'eu-central-1'\nprofile = 'eu'\nauth = 'bearer'",
        "provider = 'bedrock'\nmodel = 'gpt-6.1-sol'\nwire_model = 'global.openai.gpt-6.1-sol'\nregion = 'us-east-2'",
        "provider = 'bedrock'\nmodel = 'gpt-oss-120b'\nwire_model = 'openai.gpt-oss-120b-1:0'\nregion = 'us-east-2'\ndialect = 'bedrock-converse'",
        "provider = 'bedrock'\nmodel = 'x'\nwire_model = 'amazon.nova-pro-v1:0'\nregion = 'cn-north-1'\nauth = 'bearer'",
        "provider = 'bedrock'\nmodel = 'x'\nwire_model = 'amazon.nova-pro-v1:0'\nregion = 'eusc-de-east-1'\nauth = 'bearer'",
        "provider = 'bedrock'\nmodel = 'x'\nwire_model = 'amazon.nova-pro-v1:0'\nregion = 'us-east-2'\nendpoint = 'http://127.0.0.1:4566'",
        &arn,
    ];
    insta::assert_snapshot!(rows.map(show).join("\n"));
}

#[test]
fn mistakes() {
    let rows = [
        "provider = 'bedrock'\nmodel = 'claude-opus-5-5'",
        "provider = 'bedrock'\nmodel = 'm'\nwire_model = 'us.amazon.nova-pro-v1:0'\nregion = 'us-east-2'\nprofile = 'eu'",
        "provider = 'bedrock'\nmodel = 'm'\nwire_model = 'amazon.nova-pro-v1:0'\nregion = 'evil.example/'\nprofile = 'moon'\nauth = 'entra'",
    ];
    insta::assert_snapshot!(rows.map(errors).join("\n"));
    let arn = format!(
        "provider = 'bedrock'\nmodel = 'm'\nwire_model = '{ARN}'\nregion = 'us-east-2'\nprofile = 'us'"
    );
    assert!(errors(&arn).contains("ARN"));
}

#[test]
fn faults() {
    let signed = endpoint(
        "provider = 'bedrock'\nmodel = 'm'\nwire_model = 'amazon.nova-pro-v1:0'\nregion = 'us-east-2'",
    );
    let bearer = endpoint(
        "provider = 'bedrock'\nmodel = 'm'\nwire_model = 'a.b'\nregion = 'us-east-2'\nauth = 'bearer'",
    );
    let typed = |code, name: &'static [(&'static str, &'static str)]| Said { headers: name, ..status(code) };
    let table = [
        (
            typed(429, &[("x-amzn-errortype", "ThrottlingException:http://x")]),
            "rate_limit_exceeded NextCandidate upstream",
        ),
        (
            typed(400, &[("x-amzn-errortype", "ServiceQuotaExceededException")]),
            "insufficient_quota NextCandidate upstream",
        ),
        (
            typed(403, &[("x-amzn-errortype", "ExpiredTokenException")]),
            "upstream_auth SameAgain upstream unwell",
        ),
        (
            typed(403, &[("x-amzn-errortype", "AccessDeniedException")]),
            "upstream_auth NextCandidate upstream unwell",
        ),
        (
            typed(408, &[("x-amzn-errortype", "ModelTimeoutException")]),
            "upstream_timeout NextCandidate upstream unwell",
        ),
        (
            typed(424, &[("x-amzn-errortype", "ModelErrorException")]),
            "upstream_error NextCandidate upstream unwell",
        ),
        (
            typed(404, &[("x-amzn-errortype", "ResourceNotFoundException")]),
            "upstream_model_unavailable NextCandidate upstream unwell",
        ),
        (
            typed(503, &[("x-amzn-errortype", "com.amazon.coral#ServiceUnavailableException")]),
            "upstream_error NextCandidate upstream unwell",
        ),
        (typed(400, &[("x-amzn-errortype", "ValidationException")]), "invalid_request Stop caller"),
    ];
    for (said, expected) in table {
        assert_eq!(line(&fault(&signed, &said)), expected, "{:?}", said.headers);
    }
    let unknown = Said {
        kind: WireErrorKind::Invalid,
        code: "ValidationException",
        message: "The provided model identifier is invalid.",
        ..status(400)
    };
    assert_eq!(line(&fault(&signed, &unknown)), "upstream_model_unavailable NextCandidate upstream unwell");
    let expired = typed(403, &[("x-amzn-errortype", "ExpiredTokenException")]);
    assert_eq!(line(&fault(&bearer, &expired)), "upstream_auth NextCandidate upstream unwell");
}

#[test]
fn evidence() {
    let deployment = endpoint("provider = 'bedrock'\nmodel = 'm'\nwire_model = 'a.b'\nregion = 'us-east-2'");
    let verdict = |rows, id, body: &str| {
        deployment.evidence(&headers(rows), BodyMarks { id, bytes: body.as_bytes() }).verdict
    };
    assert_eq!(verdict(&[("x-amzn-requestid", "u")], None, ""), ServedBy::Consistent);
    assert_eq!(verdict(&[], Some("msg_bdrk_01"), ""), ServedBy::Confirmed);
    assert_eq!(verdict(&[], None, r#"{"metrics":{"latencyMs":551}}"#), ServedBy::Confirmed);
    assert_eq!(verdict(&[("x-amzn-requestid", "u")], Some("msg_01abc"), ""), ServedBy::Contradicted);
    assert_eq!(verdict(&[], None, ""), ServedBy::Unknown);
}
