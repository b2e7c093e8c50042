//! Targets as they stand in a real configuration: model, capabilities, and the quirks of the host.

use dialects::{MaxTokensField, Quirks};
use domain::{Capabilities, Dialect, ReasoningControl};

/// A deployment, as far as an encoder sees one.
pub struct Deployment {
    pub dialect: Dialect,
    pub model: &'static str,
    pub can: Capabilities,
    pub quirks: Quirks,
}

/// The deployments that cases name in `to`.
pub fn deployment(name: &str) -> Deployment {
    let quirks = Quirks::default();
    match name {
        "anthropic" => of(Dialect::AnthropicMessages, "claude-sonnet-4-5", claude(), quirks),
        "anthropic-adaptive" => of(Dialect::AnthropicMessages, "claude-opus-5-5", newest_claude(), quirks),
        "vertex-anthropic" => of(
            Dialect::AnthropicMessages,
            "claude-sonnet-4-5",
            claude(),
            Quirks { anthropic_version_in_body: Some("vertex-2023-10-16"), ..quirks },
        ),
        "bedrock" => bedrock("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", claude()),
        "bedrock-nova" => bedrock("amazon.nova-pro-v1:0", plain()),
        "bedrock-llama" => {
            bedrock("meta.llama3-3-70b-instruct-v1:0", Capabilities { forced_tools: false, ..plain() })
        }
        "gemini" => of(Dialect::Gemini, "gemini-2.5-flash", gemini(ReasoningControl::Budget), quirks),
        "gemini-3" => of(Dialect::Gemini, "gemini-3-pro", gemini(ReasoningControl::Effort), quirks),
        "gemini-old" => of(Dialect::Gemini, "gemini-2.0-flash", gemini(ReasoningControl::None), quirks),
        "vertex-gemini" => of(
            Dialect::Gemini,
            "gemini-2.5-flash",
            gemini(ReasoningControl::Budget),
            Quirks { no_function_call_ids: true, ..quirks },
        ),
        "openai" => of(
            Dialect::OpenAiChat,
            "gpt-5.4",
            Capabilities { reasoning: ReasoningControl::Effort, ..Capabilities::default() },
            Quirks { max_tokens_field: MaxTokensField::MaxCompletionTokens, ..quirks },
        ),
        "azure" => Deployment { model: "our-alias", ..deployment("openai") },
        "vllm" => of(Dialect::OpenAiChat, "openai/gpt-oss-120b", Capabilities::default(), plain_host()),
        "ollama" => of(
            Dialect::OpenAiChat,
            "qwen3:8b",
            Capabilities::default(),
            Quirks { no_image_urls: true, ..plain_host() },
        ),
        "mistral" => of(
            Dialect::OpenAiChat,
            "mistral-large-latest",
            Capabilities { prefill: true, logprobs: false, ..Capabilities::default() },
            Quirks {
                short_tool_ids: true,
                assistant_between_tool_and_user: true,
                no_message_name: true,
                no_stream_options: true,
                no_reasoning_effort: true,
                ..plain_host()
            },
        ),
        other => panic!("no deployment is called {other}"),
    }
}

fn of(dialect: Dialect, model: &'static str, can: Capabilities, quirks: Quirks) -> Deployment {
    Deployment { dialect, model, can, quirks }
}

fn bedrock(model: &'static str, can: Capabilities) -> Deployment {
    of(Dialect::BedrockConverse, model, can, Quirks { no_image_urls: true, ..Quirks::default() })
}

/// The usual OpenAI-style host (`openai_compatible.rs` of the providers).
fn plain_host() -> Quirks {
    Quirks { max_tokens_field: MaxTokensField::MaxTokens, no_developer_role: true, ..Quirks::default() }
}

fn plain() -> Capabilities {
    Capabilities { logprobs: false, candidates: false, json_schema: false, ..Capabilities::default() }
}

fn claude() -> Capabilities {
    Capabilities {
        reasoning: ReasoningControl::Budget,
        json_schema: true,
        prefill: true,
        context_tokens: 200_000,
        max_output_tokens: 64_000,
        ..plain()
    }
}

fn newest_claude() -> Capabilities {
    Capabilities {
        reasoning: ReasoningControl::Adaptive,
        sampling: false,
        prefill: false,
        max_output_tokens: 128_000,
        ..claude()
    }
}

fn gemini(reasoning: ReasoningControl) -> Capabilities {
    Capabilities { reasoning, max_output_tokens: 65_536, candidates: false, ..Capabilities::default() }
}
