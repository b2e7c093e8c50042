//! Every provider's recordings: no recorded answer of a host may contradict that host's own declaration.

use crate::{
    endpoint::Endpoint,
    evidence::BodyMarks,
    fault::Answer,
    fixtures::{Recording, recordings},
    golden, registry,
    written::Written,
};
use domain::{Code, RetryClass, Source, record::ServedBy};
use std::collections::BTreeMap;

/// Recordings that stand in the folder of another host than the one that answered.
const FILED_ELSEWHERE: [&str; 1] = ["vercel-ai_openai_chat_azure-model-router.1.stream"];

/// Some deployment of a provider, for tests that need one of each.
pub(crate) fn some(id: &str) -> Endpoint {
    let usual = Written {
        provider: id.into(),
        model: "m".into(),
        wire_model: Some("maker.model".into()),
        ..Written::default()
    };
    let written = match id {
        "openai-compatible" => Written { endpoint: Some("https://llm.example".into()), ..usual },
        "azure" => Written { resource: Some("acme".into()), ..usual },
        "bedrock" => Written { region: Some("us-east-2".into()), ..usual },
        "vertex" => Written { project: Some("p1".into()), location: Some("global".into()), ..usual },
        _ => usual,
    };
    registry::check(&written).unwrap_or_else(|errors| panic!("{id}: {errors:?}"))
}

#[test]
fn no_recording_contradicts_its_host() {
    let mut table = BTreeMap::new();
    for provider in registry::providers() {
        let descriptor = provider.descriptor();
        let endpoint = some(descriptor.id);
        for folder in descriptor.recordings {
            let Some(all) = recordings(folder) else { continue };
            assert!(!all.is_empty(), "{folder} has no recording");
            for Recording { id, response, .. } in &all {
                let (body, body_id) = (response.body(), response.body_id());
                let marks = BodyMarks { id: body_id.as_deref(), bytes: body.as_bytes() };
                let evidence = endpoint.evidence(&response.headers(), marks);
                assert_eq!(
                    evidence.verdict == ServedBy::Contradicted,
                    FILED_ELSEWHERE.contains(&id.as_str()),
                    "{folder} {id}: {:?}",
                    evidence.signals
                );
                *table.entry((descriptor.id, evidence.verdict.name())).or_insert(0) += 1;
            }
        }
    }
    for ((id, verdict), count) in table {
        println!("{id}: {verdict} {count}");
    }
}

/// What a recorded error means, by its status and the name that its recorder gave it.
fn expected(status: u16, id: &str, body: &str) -> Code {
    match status {
        429 => Code::RateLimited,
        400 if id.contains("context_length_exceeded") => Code::ContextLengthExceeded,
        400 if body.contains("API_KEY_INVALID") => Code::UpstreamAuth,
        400 if body.contains("model identifier is invalid") => Code::UpstreamModelUnavailable,
        400 => Code::InvalidRequest,
        401 | 403 => Code::UpstreamAuth,
        404 => Code::UpstreamModelUnavailable,
        other => panic!("{id}: nobody said what {other} means"),
    }
}

#[test]
fn every_recorded_error_is_named() {
    let mut named = 0;
    for provider in registry::providers() {
        let endpoint = some(provider.descriptor().id);
        for folder in provider.descriptor().recordings {
            for Recording { id, response, .. } in recordings(folder).unwrap_or_default() {
                let Some(status) = response.status.filter(|status| *status >= 400) else { continue };
                let body = response.body();
                let said = dialects::codec(endpoint.dialect()).decode_error(status, body.as_bytes());
                let fault = endpoint.fault(&Answer {
                    status,
                    headers: &response.headers(),
                    body: body.as_bytes(),
                    said: &said,
                    now: golden::now(),
                    passed_through: true,
                });
                assert_eq!(fault.code, expected(status, &id, &body), "{folder} {id}: {fault}");
                let ours = matches!(fault.code, Code::InvalidRequest | Code::ContextLengthExceeded);
                assert_eq!(fault.source == Source::Caller, ours, "{id}: {fault}");
                assert_eq!(fault.retry == RetryClass::Stop, ours, "{id}: {fault}");
                assert!(fault.detail.is_some(), "{id}");
                let words = said.message.as_deref().unwrap_or("?");
                assert!(!fault.message.contains(words), "{id}: the caller reads the upstream's words");
                named += 1;
            }
        }
    }
    println!("{named} recorded errors named");
}
