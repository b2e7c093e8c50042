use serde_json::json;

use crate::client::{ask, credential, post, send, simulator};

#[tokio::test]
async fn both_routes_answer_with_azure_headers_and_annotations() {
    let simulator = simulator().await;
    let dated = "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21";
    let body = json!({"messages": [{"role": "user", "content": "Hello"}]});
    let got =
        post(&simulator, "azure-westeurope", dated, ("authorization", "Bearer simulated-azure-key"), &body)
            .await;
    assert_eq!(got.status, 200);
    assert_eq!(got.header("x-ms-deployment-name"), "my-gpt");
    let got = ask(&simulator, "azure-westeurope", "Hello", false).await;
    assert_eq!(got.header("x-ms-region"), "West Europe");
    assert_eq!(got.header("apim-request-id").len(), 36);
    assert!(got.header("x-ratelimit-reset-tokens").parse::<u64>().is_ok());
    assert_eq!(got.header("openai-organization"), "");
    let body = got.json();
    assert_eq!(body["prompt_filter_results"][0]["prompt_index"], 0);
    assert_eq!(body["choices"][0]["content_filter_results"]["hate"]["severity"], "safe");
    let other = ask(&simulator, "azure-swedencentral", "Hello", false).await;
    assert_eq!(other.header("x-ms-region"), "Sweden Central");
}

#[tokio::test]
async fn a_stream_opens_with_the_filter_verdict() {
    let simulator = simulator().await;
    let events = ask(&simulator, "azure-westeurope", "Hello", true).await.events();
    assert_eq!(events[0]["choices"], json!([]));
    assert_eq!(events[0]["id"], "");
    assert!(events[0]["prompt_filter_results"].is_array());
    assert_eq!(events[2]["choices"][0]["content_filter_results"]["violence"]["filtered"], false);
}

#[tokio::test]
async fn errors_have_azure_shape() {
    let simulator = simulator().await;
    let address = simulator.address("azure-westeurope").unwrap();
    let wrong =
        send(address, "POST", "/openai/v1/chat/completions", &[("api-key", "no")], "{}").await.unwrap();
    assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (401, &json!("401")));
    let unknown = send(address, "GET", "/nothing", &[credential("azure")], "").await.unwrap();
    assert_eq!((unknown.status, &unknown.json()["error"]["message"]), (404, &json!("Resource not found")));
    let undated = "/openai/deployments/x/chat/completions";
    assert_eq!(send(address, "POST", undated, &[credential("azure")], "{}").await.unwrap().status, 404);
    let filtered = ask(&simulator, "azure-westeurope", "please trigger_content_filter", false).await;
    assert_eq!(filtered.status, 400);
    assert_eq!(filtered.json()["error"]["innererror"]["code"], "ResponsibleAIPolicyViolation");
}
