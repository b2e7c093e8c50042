//! Embeddings of every cloud that has OpenAI's format.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::client::{credential, post, simulator};

const ROUTES: [(&str, &str, &str); 4] = [
    ("openai", "openai", "/v1/embeddings"),
    ("azure-westeurope", "azure", "/openai/v1/embeddings"),
    ("azure-westeurope", "azure", "/openai/deployments/embed/embeddings?api-version=2024-10-21"),
    ("vllm-onprem", "vllm", "/v1/embeddings"),
];

#[tokio::test]
async fn equal_texts_give_equal_vectors_in_both_encodings() {
    let simulator = simulator().await;
    for (cloud, kind, path) in ROUTES {
        let mut body = json!({"model": "embed", "input": ["a b", "c", "a b"]});
        let floats = post(&simulator, cloud, path, credential(kind), &body).await;
        assert_eq!(floats.status, 200, "{path}: {}", floats.text());
        let floats = floats.json();
        let row = |index: usize| floats["data"][index]["embedding"].clone();
        assert_eq!(row(0).as_array().unwrap().len(), 16);
        assert_eq!(row(0), row(2), "{path}");
        assert_ne!(row(0), row(1), "{path}");
        assert_eq!(floats["usage"], json!({"prompt_tokens": 5, "total_tokens": 5}));
        body["encoding_format"] = json!("base64");
        let packed = post(&simulator, cloud, path, credential(kind), &body).await.json();
        let bytes = STANDARD.decode(packed["data"][0]["embedding"].as_str().unwrap()).unwrap();
        let numbers: Vec<f32> =
            bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(json!(numbers), row(0), "{path}");
        assert_eq!(simulator.journal().pop().unwrap().usage.unwrap().input, 5, "{path}");
    }
}

#[tokio::test]
async fn tokens_are_an_input_too_and_nonsense_is_none() {
    let simulator = simulator().await;
    for (cloud, kind, path) in ROUTES {
        for (input, status) in
            [(json!([1, 2, 3]), 200), (json!([[1, 2], [3]]), 200), (json!(null), 400), (json!([]), 400)]
        {
            let body = json!({"model": "embed", "input": input});
            let got = post(&simulator, cloud, path, credential(kind), &body).await;
            assert_eq!(got.status, status, "{path} {input}: {}", got.text());
            if status == 200 {
                assert_eq!(got.json()["usage"]["prompt_tokens"], 3);
            } else {
                assert!(got.json()["error"]["message"].is_string());
            }
        }
    }
    let unknown = json!({"model": "no-such-model", "input": "x"});
    assert_eq!(
        post(&simulator, "openai", "/v1/embeddings", credential("openai"), &unknown).await.status,
        404
    );
}
