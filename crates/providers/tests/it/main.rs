//! Signatures, held against what botocore computed for the same bytes and time.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what is wrong"
)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{CallId, Secret};
use providers::{Endpoint, RequestParts, Written, registry};
use serde_json::Value;

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name} of {}", vector["name"]))
}

fn endpoint(vector: &Value) -> Endpoint {
    let url = text(vector, "url");
    let (origin, _) = url.split_once("/model/").expect("a model's URL");
    let region = text(vector, "region");
    let own = origin == format!("https://bedrock-runtime.{region}.amazonaws.com");
    let written = Written {
        provider: "bedrock".into(),
        model: "m".into(),
        wire_model: Some(text(vector, "model").into()),
        region: Some(region.into()),
        endpoint: (!own).then(|| origin.into()),
        dialect: Some(domain::Dialect::BedrockConverse),
        ..Written::default()
    };
    registry::check(&written).unwrap_or_else(|errors| panic!("{}: {errors:?}", vector["name"]))
}

#[test]
fn converse_is_signed_as_botocore_signs_it() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sigv4_botocore.json");
    let document: Value = serde_json::from_slice(&std::fs::read(file).expect(file)).expect("JSON");
    let mut held = 0;
    for vector in document["vectors"].as_array().expect("vectors") {
        let stream = match text(vector, "operation") {
            "Converse" => false,
            "ConverseStream" => true,
            // The gateway calls no other operation; what they would sign anew is the path.
            _ => continue,
        };
        // Headers of its own that a caller of botocore signed; the gateway sends none.
        let extra = vector["headers"]
            .as_object()
            .expect("headers")
            .keys()
            .any(|name| name.to_ascii_lowercase().starts_with("x-amz-meta"));
        if extra {
            continue;
        }
        let endpoint = endpoint(vector);
        assert_eq!(endpoint.url(stream), text(vector, "url"), "{}", vector["name"]);
        let secret = Secret::Aws {
            access_key_id: text(vector, "access_key").into(),
            secret_access_key: text(vector, "secret_key").into(),
            session_token: vector["session_token"].as_str().map(Into::into),
            expires_at: None,
        };
        let request = endpoint
            .request(RequestParts {
                operation: providers::Operation::Chat,
                stream,
                secret: &secret,
                now: text(vector, "timestamp").parse().expect("instant"),
                call: CallId::from_bits(1),
                body: Bytes::from(STANDARD.decode(text(vector, "body_base64")).expect("base64")),
            })
            .expect("signed");
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().expect("text"));
        assert_eq!(header("x-amz-date"), Some(text(vector, "x_amz_date")), "{}", vector["name"]);
        assert_eq!(header("x-amz-security-token"), vector["session_token"].as_str(), "{}", vector["name"]);
        assert_eq!(header("authorization"), Some(text(vector, "authorization")), "{}", vector["name"]);
        held += 1;
    }
    println!("{held} signatures held against botocore {}", document["botocore"]);
    assert!(held >= 20, "only {held} vectors of Converse");
}
