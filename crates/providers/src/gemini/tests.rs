//! What AI Studio's folder promises.

use crate::{
    evidence::BodyMarks,
    golden::{Said, endpoint, errors, fault, headers, line, show, status},
};
use dialects::WireErrorKind;
use domain::record::ServedBy;

#[test]
fn requests() {
    let rows = [
        "provider = 'gemini'\nmodel = 'gemini-3-flash-preview'",
        "provider = 'gemini'\nmodel = 'g'\nwire_model = 'models/gemini-3-flash-preview'",
        "provider = 'gemini'\nmodel = 'g'\nwire_model = '../../v1/evil?x=1#y'\nendpoint = 'http://127.0.0.1:4101'",
    ];
    insta::assert_snapshot!(rows.map(show).join("\n"));
}

#[test]
fn mistakes() {
    let rows = ["provider = 'gemini'\nmodel = 'm'\nproject = 'p'\nauth = 'adc'"];
    insta::assert_snapshot!(rows.map(errors).join("\n"));
}

#[test]
fn faults() {
    let deployment = endpoint("provider = 'gemini'\nmodel = 'm'");
    let key = Said {
        kind: WireErrorKind::Invalid,
        code: "INVALID_ARGUMENT",
        message: "API key not valid. Please pass a valid API key.",
        ..status(400)
    };
    assert_eq!(line(&fault(&deployment, &key)), "upstream_auth NextCandidate upstream unwell");
    let gone = Said { code: "NOT_FOUND", message: "models/x is not found", ..status(404) };
    assert_eq!(line(&fault(&deployment, &gone)), "upstream_model_unavailable NextCandidate upstream unwell");
}

#[test]
fn evidence() {
    let deployment = endpoint("provider = 'gemini'\nmodel = 'm'");
    let verdict = |rows, body: &str| {
        deployment.evidence(&headers(rows), BodyMarks { id: None, bytes: body.as_bytes() }).verdict
    };
    assert_eq!(verdict(&[("server-timing", "gfet4t7; dur=412")], ""), ServedBy::Consistent);
    assert_eq!(verdict(&[], r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#), ServedBy::Contradicted);
    assert_eq!(verdict(&[("server", "scaffolding on HTTPServer2")], "{}"), ServedBy::Unknown);
}
