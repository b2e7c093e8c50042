//! Every provider's recordings: no recorded answer of a host may contradict that host's own declaration.

use crate::{
    endpoint::Endpoint,
    evidence::BodyMarks,
    fixtures::{Recording, recordings},
    registry,
    written::Written,
};
use domain::record::ServedBy;
use std::collections::BTreeMap;

/// Recordings that stand in the folder of another host than the one that answered.
const FILED_ELSEWHERE: [&str; 1] = ["vercel-ai_openai_chat_azure-model-router.1.stream"];

/// Some deployment of a provider, for tests that need one of each.
fn some(id: &str) -> Endpoint {
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
