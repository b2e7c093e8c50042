//! Hosts that speak OpenAI's Chat Completions (some of them Responses too) and need nothing of their own but a row: a URL, the name of a key,
//! deviations, marks. A row ships with its recording, so a host that nobody recorded is called by the row
//! `openai-compatible` and its own `endpoint`.

use crate::{
    endpoint::{Draft, Endpoint},
    evidence::{Fingerprint, MayShow},
    openai::request::operation,
    origin::Base,
    provider::{Descriptor, Provider},
    written::{AuthMethod, Errors, FieldError, Written},
};
use dialects::{MaxTokensField, Quirks};
use domain::Dialect;

/// One row of the table.
#[derive(Debug)]
pub struct Host {
    descriptor: Descriptor,
    quirks: Quirks,
    /// Whether it has `/embeddings` beside `/chat/completions`; false only where its documents show none.
    embeddings: bool,
}

/// The usual host: the old name of the token limit, no `developer` role.
const PLAIN: Quirks =
    Quirks { max_tokens_field: MaxTokensField::MaxTokens, no_developer_role: true, ..DOCUMENTED };

/// The dialect as documented. (`Default` is not const.)
const DOCUMENTED: Quirks = Quirks {
    max_tokens_field: MaxTokensField::AsGiven,
    no_developer_role: false,
    short_tool_ids: false,
    assistant_between_tool_and_user: false,
    no_message_name: false,
    no_stream_options: false,
    no_reasoning_effort: false,
    anthropic_version_in_body: None,
    no_function_call_ids: false,
    no_image_urls: false,
};

const KEY: &[AuthMethod] = &[AuthMethod::Key, AuthMethod::Bearer];
const KEY_OR_NONE: &[AuthMethod] = &[AuthMethod::Key, AuthMethod::Bearer, AuthMethod::None];
const NONE_OR_KEY: &[AuthMethod] = &[AuthMethod::None, AuthMethod::Key, AuthMethod::Bearer];

/// Of hosts whose recordings have `/responses` too, and of the generic row.
const BOTH: &[Dialect] = &[Dialect::OpenAiChat, Dialect::OpenAiResponses];

/// What most rows share.
const ROW: Descriptor = Descriptor {
    id: "",
    name: "",
    clouds: &[],
    dialects: &[Dialect::OpenAiChat],
    auths: KEY,
    env_keys: &[],
    base_url: "",
    fields: &[],
    regions: &[],
    bills_cancelled: false,
    fingerprint: Fingerprint::NONE,
    recordings: &[],
    docs: "",
};

/// What the fingerprints of hosts with marks share.
const MARKED: Fingerprint = Fingerprint { may_show: MayShow::Own, ..Fingerprint::NONE };

/// The table.
pub static HOSTS: [Host; 12] = [
    Host {
        embeddings: true,
        descriptor: Descriptor {
            id: "openai-compatible",
            dialects: BOTH,
            name: "Any OpenAI-style host",
            auths: KEY_OR_NONE,
            docs: "https://platform.openai.com/docs/api-reference/chat",
            ..ROW
        },
        quirks: DOCUMENTED,
    },
    Host {
        embeddings: true,
        descriptor: Descriptor {
            id: "vllm",
            name: "vLLM",
            auths: NONE_OR_KEY,
            base_url: "http://localhost:8000/v1",
            fingerprint: Fingerprint { shared: &[("server", "uvicorn")], ..Fingerprint::NONE },
            recordings: &["gpustack-vllm"],
            docs: "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
            ..ROW
        },
        quirks: PLAIN,
    },
    Host {
        embeddings: true,
        descriptor: Descriptor {
            id: "ollama",
            name: "Ollama",
            auths: NONE_OR_KEY,
            base_url: "http://localhost:11434/v1",
            recordings: &["ollama"],
            docs: "https://docs.ollama.com/openai",
            ..ROW
        },
        quirks: Quirks { no_image_urls: true, ..PLAIN },
    },
    Host {
        embeddings: true,
        descriptor: Descriptor {
            id: "mistral",
            name: "Mistral",
            env_keys: &["MISTRAL_API_KEY"],
            base_url: "https://api.mistral.ai/v1",
            fingerprint: Fingerprint {
                headers: &["mistral-correlation-id", "ratelimitbysize-*"],
                request_id: Some("mistral-correlation-id"),
                ..MARKED
            },
            recordings: &["mistral"],
            docs: "https://docs.mistral.ai/api",
            ..ROW
        },
        quirks: Quirks {
            short_tool_ids: true,
            assistant_between_tool_and_user: true,
            no_message_name: true,
            no_stream_options: true,
            no_reasoning_effort: true,
            ..PLAIN
        },
    },
    Host {
        embeddings: false,
        descriptor: Descriptor {
            id: "groq",
            name: "Groq",
            env_keys: &["GROQ_API_KEY"],
            base_url: "https://api.groq.com/openai/v1",
            fingerprint: Fingerprint {
                headers: &["x-groq-region"],
                fields: &["x_groq"],
                region: Some("x-groq-region"),
                ..MARKED
            },
            recordings: &["groq"],
            docs: "https://console.groq.com/docs/api-reference",
            ..ROW
        },
        quirks: Quirks { max_tokens_field: MaxTokensField::MaxCompletionTokens, ..PLAIN },
    },
    Host {
        embeddings: true,
        descriptor: Descriptor {
            id: "together",
            name: "Together AI",
            env_keys: &["TOGETHER_API_KEY"],
            base_url: "https://api.together.xyz/v1",
            fingerprint: Fingerprint {
                headers: &["x-api-call-start", "x-api-call-end", "x-api-received"],

                ..MARKED
            },
            recordings: &["together"],
            docs: "https://docs.together.ai/reference/chat-completions-1",
            ..ROW
        },
        quirks: PLAIN,
    },
    Host {
        embeddings: false,
        descriptor: Descriptor {
            id: "deepseek",
            name: "DeepSeek",
            env_keys: &["DEEPSEEK_API_KEY"],
            base_url: "https://api.deepseek.com",
            fingerprint: Fingerprint {
                headers: &["x-ds-trace-id"],
                request_id: Some("x-ds-trace-id"),
                ..MARKED
            },
            recordings: &["deepseek"],
            docs: "https://api-docs.deepseek.com/api/create-chat-completion",
            ..ROW
        },
        quirks: PLAIN,
    },
    Host {
        embeddings: true,
        descriptor: Descriptor {
            id: "xai",
            dialects: BOTH,
            name: "xAI",
            env_keys: &["XAI_API_KEY"],
            base_url: "https://api.x.ai/v1",
            fingerprint: Fingerprint {
                headers: &["x-zero-data-retention", "x-data-retention"],
                fields: &["cost_in_usd_ticks"],
                ..MARKED
            },
            recordings: &["xai"],
            docs: "https://docs.x.ai/docs/api-reference",
            ..ROW
        },
        quirks: Quirks { max_tokens_field: MaxTokensField::MaxCompletionTokens, ..PLAIN },
    },
    Host {
        embeddings: true,
        descriptor: Descriptor {
            id: "openrouter",
            dialects: BOTH,
            name: "OpenRouter",
            env_keys: &["OPENROUTER_API_KEY"],
            base_url: "https://openrouter.ai/api/v1",
            fingerprint: Fingerprint {
                headers: &["x-generation-id", "x-provider-name"],
                ids: &["gen-"],
                request_id: Some("x-generation-id"),
                // It resells, and its upstreams' ids show.
                may_show: MayShow::Any,
                ..Fingerprint::NONE
            },
            recordings: &["openrouter"],
            docs: "https://openrouter.ai/docs/api-reference/chat-completion",
            ..ROW
        },
        quirks: Quirks { max_tokens_field: MaxTokensField::MaxTokens, ..DOCUMENTED },
    },
    Host {
        embeddings: false,
        descriptor: Descriptor {
            id: "cerebras",
            name: "Cerebras",
            env_keys: &["CEREBRAS_API_KEY"],
            base_url: "https://api.cerebras.ai/v1",
            fingerprint: Fingerprint { shared: &[("inference-id", "")], ..MARKED },
            recordings: &["cerebras"],
            docs: "https://inference-docs.cerebras.ai/api-reference/chat-completions",
            ..ROW
        },
        quirks: Quirks { max_tokens_field: MaxTokensField::MaxCompletionTokens, ..PLAIN },
    },
    Host {
        embeddings: true,
        descriptor: Descriptor {
            id: "perplexity",
            name: "Perplexity",
            env_keys: &["PERPLEXITY_API_KEY"],
            base_url: "https://api.perplexity.ai",
            fingerprint: Fingerprint { headers: &["x-ppl-region"], region: Some("x-ppl-region"), ..MARKED },
            recordings: &["perplexity"],
            docs: "https://docs.perplexity.ai/api-reference/chat-completions-post",
            ..ROW
        },
        quirks: Quirks { no_stream_options: true, no_message_name: true, ..PLAIN },
    },
    Host {
        embeddings: true,
        descriptor: Descriptor {
            id: "huggingface",
            name: "Hugging Face Inference Providers",
            env_keys: &["HF_TOKEN"],
            base_url: "https://router.huggingface.co/v1",
            recordings: &["huggingface"],
            docs: "https://huggingface.co/docs/inference-providers/tasks/chat-completion",
            ..ROW
        },
        quirks: PLAIN,
    },
];

impl Provider for Host {
    fn descriptor(&self) -> &'static Descriptor {
        // A row lives in the table, which is static; the trait hands it out as such.
        HOSTS.iter().map(|host| &host.descriptor).find(|row| row.id == self.descriptor.id).unwrap_or(&ROW)
    }

    fn check(&'static self, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
        let mut errors = Errors::default();
        let (auth, dialect) = errors.common(self, written, Dialect::OpenAiChat);
        let wire_model = errors.wire_model(written);
        let own = self.descriptor.base_url;
        if own.is_empty() && written.endpoint.is_none() {
            errors.add(
                "endpoint",
                "is missing",
                "write the host's base URL, for instance https://llm.example/v1",
            );
            return errors.finish(None);
        }
        let Some(base) = Base::of(written, own, &mut errors) else { return errors.finish(None) };
        // A bare host gets the usual root, unless the row's own URL has none.
        let rootless = !own.is_empty() && own.matches('/').count() == 2;
        let root = if base.prefix.is_empty() && !rootless { "/v1" } else { "" };
        let mut draft = Draft::new(self, dialect, base, wire_model, auth);
        draft.path = format!("{root}/{}", operation(dialect));
        draft.path_stream.clone_from(&draft.path);
        draft.path_embeddings = self.embeddings.then(|| format!("{root}/embeddings"));
        draft.quirks = self.quirks;
        draft.finish(written, errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{endpoint, errors, show};

    #[test]
    fn requests_of_every_row() {
        let own = HOSTS.iter().filter(|host| !host.descriptor.base_url.is_empty()).map(|host| {
            let row = format!("provider = '{}'\nmodel = 'm/x'", host.descriptor.id);
            format!("{}{:?}\n", show(&row), host.quirks)
        });
        insta::assert_snapshot!(own.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn requests_with_an_endpoint() {
        let rows = [
            "provider = 'openai-compatible'\nmodel = 'm'\nendpoint = 'http://127.0.0.1:4101'\nauth = 'none'",
            "provider = 'openai-compatible'\nmodel = 'm'\nendpoint = 'https://llm.example/api/v2'",
            "provider = 'vllm'\nmodel = 'm'\nendpoint = 'http://gpu-7:8000'\nauth = 'key'",
            "provider = 'perplexity'\nmodel = 'm'\nendpoint = 'http://127.0.0.1:4101'",
            "provider = 'xai'\nmodel = 'm'\ndialect = 'openai-responses'",
        ];
        insta::assert_snapshot!(rows.map(show).join("\n"));
    }

    #[test]
    fn the_generic_row_needs_an_endpoint() {
        assert!(errors("provider = 'openai-compatible'\nmodel = 'm'").starts_with("`endpoint` is missing"));
    }

    #[test]
    fn quirks_can_be_overruled() {
        let strict = endpoint("provider = 'mistral'\nmodel = 'm'");
        assert!(strict.quirks().short_tool_ids && strict.quirks().no_developer_role);
        let lax = endpoint(
            "provider = 'mistral'\nmodel = 'm'\n[quirks]\nshort_tool_ids = false\nmax_tokens_field = 'as-given'",
        );
        assert!(!lax.quirks().short_tool_ids && lax.quirks().no_developer_role);
        assert_eq!(lax.quirks().max_tokens_field, MaxTokensField::AsGiven);
    }
}
