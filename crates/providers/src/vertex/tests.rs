//! What Vertex's folder promises.

use crate::{
    evidence::BodyMarks,
    golden::{endpoint, errors, fault, headers, line, show, status},
};
use domain::record::ServedBy;

#[test]
fn requests() {
    let rows = [
        "provider = 'vertex'\nmodel = 'gemini-3-pro'\nproject = 'acme-1'\nlocation = 'europe-west4'",
        "provider = 'vertex'\nmodel = 'gemini-3-pro'\nproject = 'acme-1'\nlocation = 'global'\nauth = 'key'",
        "provider = 'vertex'\nmodel = 'claude-opus-5-5'\nwire_model = 'claude-opus-5-5@20260801'\nproject = 'acme-1'\nlocation = 'eu'",
        "provider = 'vertex'\nmodel = 'gemini-3-pro'\nproject = 'example.com:acme-1'\nlocation = 'us-central1'\nendpoint = 'http://127.0.0.1:4101/v1'",
    ];
    insta::assert_snapshot!(rows.map(show).join("\n"));
    let claude = endpoint("provider = 'vertex'\nmodel = 'claude-x'\nproject = 'p1'\nlocation = 'global'");
    assert_eq!(claude.quirks().anthropic_version_in_body, Some("vertex-2023-10-16"));
    assert!(!claude.model_in_body());
}

#[test]
fn mistakes() {
    let rows = [
        "provider = 'vertex'\nmodel = 'm'",
        "provider = 'vertex'\nmodel = 'm'\nproject = '../x'\nlocation = 'evil.example/'\nregion = 'us'",
    ];
    insta::assert_snapshot!(rows.map(errors).join("\n"));
}

#[test]
fn faults() {
    let deployment = endpoint("provider = 'vertex'\nmodel = 'm'\nproject = 'p1'\nlocation = 'global'");
    assert_eq!(line(&fault(&deployment, &status(401))), "upstream_auth SameAgain upstream unwell");
    assert_eq!(line(&fault(&deployment, &status(429))), "rate_limit_exceeded NextCandidate upstream");
}

#[test]
fn evidence() {
    let deployment = endpoint("provider = 'vertex'\nmodel = 'm'\nproject = 'p1'\nlocation = 'global'");
    let verdict = |rows, id, body: &str| {
        deployment.evidence(&headers(rows), BodyMarks { id, bytes: body.as_bytes() }).verdict
    };
    assert_eq!(verdict(&[("server", "scaffolding on HTTPServer2")], None, ""), ServedBy::Consistent);
    assert_eq!(verdict(&[], None, r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#), ServedBy::Confirmed);
    assert_eq!(verdict(&[], Some("msg_vrtx_01"), ""), ServedBy::Confirmed);
    assert_eq!(verdict(&[], Some("msg_bdrk_01"), ""), ServedBy::Contradicted);
}
