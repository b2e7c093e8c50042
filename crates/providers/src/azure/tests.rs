//! What Azure's folder promises.

use crate::{
    evidence::BodyMarks,
    golden::{Said, endpoint, errors, fault, headers, line, show, status},
};
use dialects::WireErrorKind;
use domain::record::ServedBy;

#[test]
fn requests() {
    let rows = [
        "provider = 'azure'\nmodel = 'gpt-5.4'\nresource = 'acme-weu'",
        "provider = 'azure'\nmodel = 'gpt-5.4'\ndeployment = 'prod gpt'\nresource = 'acme-weu'",
        "provider = 'azure'\nmodel = 'gpt-5.4'\ndeployment = 'chat/eu'\nresource = 'acme-weu'\napi_version = '2025-04-01-preview'\nregion = 'westeurope'",
        "provider = 'azure'\nmodel = 'gpt-5.4'\nresource = 'acme-weu'\nauth = 'entra'",
        "provider = 'azure'\nmodel = 'claude-opus-5-5'\nresource = 'acme'",
        "provider = 'azure'\nmodel = 'gpt-5.4'\nresource = 'acme'\ndialect = 'openai-responses'",
        "provider = 'azure'\nmodel = 'gpt-5.4'\nresource = 'acme'\ndialect = 'openai-responses'\napi_version = '2025-04-01-preview'",
        "provider = 'azure'\nmodel = 'gpt-5.4'\nendpoint = 'http://127.0.0.1:4101'",
        "provider = 'azure'\nmodel = 'gpt-5.4'\nendpoint = 'https://acme.openai.azure.com/openai/v1/'",
        "provider = 'azure'\nmodel = 'gpt-5.4'\nendpoint = 'https://apim.example/llm'\napi_version = '2024-10-21'",
    ];
    let shown: Vec<String> =
        rows.iter().filter(|row| !row.contains("prod gpt")).map(|row| show(row)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn mistakes() {
    let rows = [
        "provider = 'azure'\nmodel = 'm'",
        "provider = 'azure'\nmodel = 'm'\nresource = 'evil.example/x'\napi_version = 'latest'\nproject = 'p'",
        "provider = 'azure'\nmodel = 'm'\nresource = 'acme'\ndeployment = 'a'\nwire_model = 'b'",
        "provider = 'azure'\nmodel = 'm'\nresource = 'acme'\ndeployment = 'prod gpt'",
        "provider = 'azure'\nmodel = 'claude-x'\nresource = 'acme'\napi_version = '2024-10-21'",
    ];
    insta::assert_snapshot!(rows.map(errors).join("\n"));
}

#[test]
fn faults() {
    let key = endpoint("provider = 'azure'\nmodel = 'm'\nresource = 'acme'");
    let entra = endpoint("provider = 'azure'\nmodel = 'm'\nresource = 'acme'\nauth = 'entra'");
    let filtered = Said {
        kind: WireErrorKind::Invalid,
        message: r#"{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        ..status(400)
    };
    assert_eq!(line(&fault(&key, &filtered)), "content_filter Stop caller");
    let long = Said {
        kind: WireErrorKind::Invalid,
        message: "Input tokens exceed the configured limit of 272000 tokens",
        ..status(400)
    };
    assert_eq!(line(&fault(&key, &long)), "context_length_exceeded Stop caller");
    let gone = Said { code: "DeploymentNotFound", ..status(404) };
    assert_eq!(line(&fault(&key, &gone)), "upstream_model_unavailable NextCandidate upstream unwell");
    let limited = Said { headers: &[("retry-after-ms", "250"), ("retry-after", "1")], ..status(429) };
    assert_eq!(line(&fault(&key, &limited)), "rate_limit_exceeded NextCandidate upstream after 250ms");
    assert_eq!(line(&fault(&key, &status(401))), "upstream_auth NextCandidate upstream unwell");
    assert_eq!(line(&fault(&entra, &status(401))), "upstream_auth SameAgain upstream unwell");
    assert_eq!(line(&fault(&entra, &status(403))), "upstream_auth NextCandidate upstream unwell");
}

#[test]
fn evidence() {
    let deployment = endpoint("provider = 'azure'\nmodel = 'm'\nresource = 'acme'");
    let seen = deployment.evidence(
        &headers(&[("x-ms-region", "East US 2"), ("apim-request-id", "8f1d"), ("openai-processing-ms", "3")]),
        BodyMarks::default(),
    );
    assert_eq!(seen.verdict, ServedBy::Consistent);
    assert_eq!(seen.region.as_deref(), Some("East US 2"));
    assert_eq!(seen.request_id.as_deref(), Some("8f1d"));
    let body = BodyMarks { id: None, bytes: br#"{"choices":[],"prompt_filter_results":[]}"# };
    assert_eq!(deployment.evidence(&headers(&[]), body).verdict, ServedBy::Confirmed);
    let vertex = BodyMarks { id: None, bytes: br#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"# };
    assert_eq!(deployment.evidence(&headers(&[]), vertex).verdict, ServedBy::Contradicted);
}
