//! Azure OpenAI / Microsoft Foundry: the v1 route and the dated deployment route.
//!
//! A prompt that contains `trigger_content_filter` is refused by the content filter with its 400.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{chat, embeddings, event, openai, responses};
use crate::exchange::{Ask, Reply, decoded, headers as pairs, model_in};
use crate::identity::{Ids, hash};

const RESPONSES: &str = "/openai/v1/responses";

/// Route, credentials, reply.
pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    let key = ask.header("api-key");
    let given = if key.is_empty() { ask.bearer() } else { key };
    if !ask.cloud.credentials.accepts(given) {
        return failure(ask, 401, None);
    }
    if ask.method != http::Method::POST {
        return not_found(ask);
    }
    if ask.path == "/openai/v1/chat/completions" {
        return completion(ask, model_in(ask.json));
    }
    if ask.path == RESPONSES {
        return response(ask, model_in(ask.json));
    }
    if ask.path == "/openai/v1/embeddings" {
        return embedded(ask, model_in(ask.json));
    }
    let dated = ask.path.strip_prefix("/openai/deployments/").and_then(|rest| rest.split_once('/'));
    let Some((deployment, operation)) = dated.filter(|_| !ask.query_value("api-version").is_empty()) else {
        return not_found(ask);
    };
    match operation {
        "chat/completions" => completion(ask, &decoded(deployment)),
        "embeddings" => embedded(ask, &decoded(deployment)),
        _ => not_found(ask),
    }
}

/// An error body of this status.
pub(crate) fn failure(ask: &Ask<'_>, status: u16, message: Option<&str>) -> Reply {
    let (code, usual) = usual(ask, status);
    let body = json!({"error": {"code": code, "message": message.unwrap_or(&usual)}});
    let mut reply = Reply::json(status, headers(ask, ""), &body);
    if status == 429 {
        reply.headers.extend(pairs([("retry-after", "1"), ("retry-after-ms", "1000")]));
    }
    reply
}

/// The same as an event of a stream.
pub(crate) fn stream_failure(ask: &Ask<'_>, status: u16, sent: u64) -> Bytes {
    let (code, message) = usual(ask, status);
    if ask.path == RESPONSES {
        return responses::failure(sent, &code, &message);
    }
    event(&json!({"error": {"code": code, "message": message, "param": null, "type": "server_error"}})).into()
}

/// Headers of every answer.
pub(crate) fn headers(ask: &Ask<'_>, deployment: &str) -> Vec<(String, String)> {
    let mut ids = Ids::new(ask.seq, "azure-headers");
    let mut all = pairs([
        ("x-ms-rai-invoked", "true"),
        ("x-content-type-options", "nosniff"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("skip-error-remapping", "true"),
        ("x-ms-is-spilled-over", "false"),
        ("x-ratelimit-limit-requests", "500"),
        ("x-ratelimit-remaining-requests", "499"),
        ("x-ratelimit-reset-requests", "7"),
        ("x-ratelimit-renewalperiod-requests", "60"),
        ("x-ratelimit-limit-tokens", "500000"),
        ("x-ratelimit-remaining-tokens", "499968"),
        ("x-ratelimit-reset-tokens", "500"),
        ("x-ratelimit-renewalperiod-tokens", "60"),
        ("x-ratelimit-abusepenalty-active", "False"),
    ]);
    let mut add = |name: &str, value: String| all.push((name.to_owned(), value));
    add("apim-request-id", ids.uuid());
    add("x-request-id", ids.uuid());
    let echoed = ask.header("x-ms-client-request-id").to_owned();
    add("x-ms-client-request-id", if echoed.is_empty() { ids.uuid() } else { echoed });
    add("x-ms-region", region_name(ask.cloud.region()));
    add("azureml-model-session", format!("d20260905170902-{:012x}", hash(deployment.as_bytes()) >> 16));
    if !deployment.is_empty() {
        add("x-ms-deployment-name", deployment.to_owned());
    }
    all
}

fn completion(ask: &Ask<'_>, deployment: &str) -> Reply {
    if deployment.is_empty() || !ask.serves(deployment) {
        return failure(ask, 404, None);
    }
    let asked = match chat::read(ask.json, deployment) {
        Ok(asked) => asked,
        Err((message, param)) => {
            let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": param,
                "code": null}});
            return Reply::json(400, headers(ask, deployment), &error);
        }
    };
    if asked.prompt.last_user_text().contains("trigger_content_filter") {
        return Reply::json(400, headers(ask, deployment), &filtered());
    }
    let mut ids = Ids::new(ask.seq, "azure");
    let style = chat::Style {
        id: format!("chatcmpl-{}", ids.base62(29)),
        model: openai::snapshot(deployment),
        fingerprint: Some(format!("fp_{:010x}", hash(deployment.as_bytes()) & 0xff_ffff_ffff)),
        tier: None,
        filters: true,
        reasoning_content: false,
        obfuscation: false,
        call_id: ("call_", 24),
    };
    chat::reply(ask, &asked, &style, headers(ask, deployment))
}

fn response(ask: &Ask<'_>, deployment: &str) -> Reply {
    if deployment.is_empty() || !ask.serves(deployment) {
        return failure(ask, 404, None);
    }
    let asked = match responses::read(ask, deployment) {
        Ok(asked) => asked,
        Err(why) => {
            let error = json!({"error": {"message": why.message, "type": "invalid_request_error",
                "param": why.param, "code": why.code}});
            return Reply::json(why.status, headers(ask, deployment), &error);
        }
    };
    if asked.prompt.last_user_text().contains("trigger_content_filter") {
        return Reply::json(400, headers(ask, deployment), &filtered());
    }
    let style = responses::Style { model: openai::snapshot(deployment), filters: true, obfuscation: false };
    responses::reply(ask, &asked, &style, headers(ask, deployment))
}

fn embedded(ask: &Ask<'_>, deployment: &str) -> Reply {
    if deployment.is_empty() || !ask.serves(deployment) {
        return failure(ask, 404, None);
    }
    embeddings::reply(ask, deployment, headers(ask, deployment))
        .unwrap_or_else(|(message, _)| failure(ask, 400, Some(&message)))
}

fn not_found(ask: &Ask<'_>) -> Reply {
    let body = json!({"error": {"code": "404", "message": "Resource not found"}});
    Reply::json(404, headers(ask, ""), &body)
}

/// The content filter's refusal of a prompt.
fn filtered() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.",
        "type": null, "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {
            "hate": safe, "self_harm": safe, "sexual": safe,
            "violence": {"filtered": true, "severity": "medium"},
            "jailbreak": {"filtered": false, "detected": false}}}}})
}

/// Code and message that go with a status.
fn usual(ask: &Ask<'_>, status: u16) -> (String, String) {
    let (code, message) = match status {
        400 => ("BadRequest", "The request is invalid."),
        401 => (
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.",
        ),
        403 => ("AuthorizationFailed", "The principal lacks the required data action."),
        404 => (
            "DeploymentNotFound",
            "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.",
        ),
        408 => ("RequestTimeout", "The operation was timeout."),
        429 => {
            let region = ask.cloud.region();
            let message = format!(
                "Your requests to this deployment in {region} have exceeded the rate limit. Please retry after 1 second."
            );
            return ("RateLimitReached".to_owned(), message);
        }
        503 => (
            "ServiceUnavailable",
            "The service is temporarily unable to process your request. Please try again later.",
        ),
        _ => ("InternalServerError", "The server had an error processing your request."),
    };
    (code.to_owned(), message.to_owned())
}

/// `westeurope` as Azure shows it in headers: `West Europe`.
fn region_name(token: &str) -> String {
    match token {
        "westeurope" => "West Europe".to_owned(),
        "northeurope" => "North Europe".to_owned(),
        "swedencentral" => "Sweden Central".to_owned(),
        "germanywestcentral" => "Germany West Central".to_owned(),
        "francecentral" => "France Central".to_owned(),
        "switzerlandnorth" => "Switzerland North".to_owned(),
        "uksouth" => "UK South".to_owned(),
        "eastus" => "East US".to_owned(),
        "eastus2" => "East US 2".to_owned(),
        "westus" => "West US".to_owned(),
        "westus3" => "West US 3".to_owned(),
        other => other.to_owned(),
    }
}
