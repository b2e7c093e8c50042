//! Requests and faults as text, for golden tests.

use crate::{
    endpoint::{Endpoint, Operation, RequestParts},
    fault::Answer,
    registry,
    written::Written,
};
use bytes::Bytes;
use dialects::{WireError, WireErrorKind};
use domain::{CallId, Fault, Secret, SecretNeed};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use std::fmt::Write as _;

/// The instant of every test.
pub(crate) fn now() -> Timestamp {
    "2026-11-21T10:59:07Z".parse().expect("instant")
}

/// The deployment of a TOML text.
pub(crate) fn endpoint(toml: &str) -> Endpoint {
    let written: Written = toml::from_str(toml).expect(toml);
    registry::check(&written).unwrap_or_else(|errors| panic!("{toml}: {errors:?}"))
}

/// What is wrong with the deployment of a TOML text, one error a line.
pub(crate) fn errors(toml: &str) -> String {
    let written: Written = toml::from_str(toml).expect(toml);
    let errors = registry::check(&written).expect_err(toml);
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn secret(endpoint: &Endpoint) -> Secret {
    match endpoint.secret_need() {
        SecretNeed::None => Secret::None,
        SecretNeed::Aws => Secret::Aws {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
            expires_at: None,
        },
        _ => Secret::token("s3cret"),
    }
}

/// Both requests of a deployment, and what the engine reads off it.
pub(crate) fn show(toml: &str) -> String {
    let endpoint = endpoint(toml);
    let mut out = format!("## {}\n", toml.trim().replace('\n', " · "));
    let _ = writeln!(
        out,
        "{} · wire model {}{} · region {:?} · reach {:?} · needs {:?}",
        endpoint.dialect(),
        endpoint.wire_model(),
        if endpoint.model_in_body() { "" } else { " (in the path)" },
        endpoint.region(),
        endpoint.reach(),
        endpoint.secret_need(),
    );
    for stream in [false, true] {
        let parts = RequestParts {
            operation: Operation::Chat,
            stream,
            secret: &secret(&endpoint),
            now: now(),
            call: CallId::from_bits(7),
            body: Bytes::from_static(b"{}"),
        };
        let request = endpoint.request(parts).expect("request");
        let _ = writeln!(out, "{} {}{}", request.method(), endpoint.origin(), request.uri());
        if stream {
            continue;
        }
        let mut lines: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("  {name}: {}", value.to_str().expect("text")))
            .collect();
        lines.sort();
        out.push_str(&lines.join("\n"));
        out.push('\n');
        // A secret never shows in a log of headers.
        assert!(!format!("{:?}", request.headers()).contains("s3cret"), "{toml}");
    }
    out
}

/// Headers of a table.
pub(crate) fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
    rows.iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// One row of a fault table.
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) kind: WireErrorKind,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
}

/// An answer of a status alone.
pub(crate) const fn status(status: u16) -> Said {
    Said { status, kind: WireErrorKind::Unknown, code: "", message: "", headers: &[] }
}

/// The fault that a deployment makes of it, with nothing of the upstream in what the caller reads.
pub(crate) fn fault(endpoint: &Endpoint, said: &Said) -> Fault {
    let filled = |text: &'static str| (!text.is_empty()).then(|| text.into());
    let error =
        WireError { kind: said.kind, code: filled(said.code), message: filled(said.message), param: None };
    let fault = endpoint.fault(&Answer {
        status: said.status,
        headers: &headers(said.headers),
        body: said.message.as_bytes(),
        said: &error,
        now: now(),
        passed_through: true,
    });
    assert_eq!(fault.upstream_status, Some(said.status));
    if !said.message.is_empty() {
        assert!(!fault.message.contains(said.message), "the caller reads the upstream's words: {fault}");
        assert!(fault.detail.as_deref().is_some_and(|detail| detail.contains(said.message)), "{fault}");
    }
    fault
}

/// A fault in one line: code, retry class, source, wait, health.
pub(crate) fn line(fault: &Fault) -> String {
    let wait = fault.retry_after.map_or(String::new(), |wait| format!(" after {}ms", wait.as_millis()));
    let health = if fault.counts_against_health { " unwell" } else { "" };
    format!("{} {:?} {}{wait}{health}", fault.code, fault.retry, fault.source.name())
}
