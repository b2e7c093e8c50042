//! Providers and models: LiteLLM's names → ours.

/// LiteLLM's provider, ours, and the prefix that LiteLLM puts before the wire name of the model.
/// Providers that the gateway has no adapter for are left out of the catalog.
const PROVIDERS: &[(&str, &str, &str)] = &[
    ("openai", "openai", "openai/"),
    ("azure", "azure", "azure/"),
    ("azure_ai", "azure-ai", "azure_ai/"),
    ("bedrock", "bedrock", "bedrock/"),
    ("bedrock_converse", "bedrock", "bedrock/"),
    ("bedrock_mantle", "bedrock-mantle", "bedrock_mantle/"),
    ("anthropic", "anthropic", "anthropic/"),
    ("gemini", "gemini", "gemini/"),
    ("vertex_ai", "vertex", "vertex_ai/"),
    ("mistral", "mistral", "mistral/"),
    ("groq", "groq", "groq/"),
    ("together_ai", "together", "together_ai/"),
    ("deepseek", "deepseek", "deepseek/"),
    ("xai", "xai", "xai/"),
    ("openrouter", "openrouter", "openrouter/"),
    ("cerebras", "cerebras", "cerebras/"),
    ("perplexity", "perplexity", "perplexity/"),
    ("fireworks_ai", "fireworks", "fireworks_ai/"),
    ("cohere", "cohere", "cohere/"),
    ("cohere_chat", "cohere", "cohere/"),
    ("deepinfra", "deepinfra", "deepinfra/"),
    ("nebius", "nebius", "nebius/"),
    ("sambanova", "sambanova", "sambanova/"),
    ("huggingface", "huggingface", "huggingface/"),
];

/// Prefixes of profile ids on Bedrock, which are places.
const PROFILES: &[&str] = &["us", "eu", "apac", "jp", "au", "in", "ca", "global", "us-gov", "emea"];

/// Places in LiteLLM's Azure names.
const ZONES: &[&str] = &["us", "eu", "apac", "global", "global-standard", "jp", "au", "in", "uk"];

/// Vendors before the model's own name in Bedrock ids.
const VENDORS: &[&str] = &[
    "ai21",
    "amazon",
    "anthropic",
    "cohere",
    "deepseek",
    "google",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "moonshotai",
    "nvidia",
    "openai",
    "qwen",
    "twelvelabs",
    "writer",
    "xai",
    "zai",
];

/// A model of the map in our words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) provider: &'static str,
    /// As on the wire.
    pub(super) model: String,
    pub(super) geo: String,
    /// The same at every provider.
    pub(super) name: String,
}

/// The name of an entry, or `None` where it is not for us: another provider, or a name that is not one on a wire
/// (commitments, images by size).
pub(super) fn named(key: &str, litellm_provider: &str) -> Option<Named> {
    let family = if litellm_provider.starts_with("vertex_ai") { "vertex_ai" } else { litellm_provider };
    let (_, provider, prefix) = *PROVIDERS.iter().find(|(theirs, ..)| *theirs == family)?;
    if key.contains(['"', '\\', ' ']) {
        return None;
    }
    let wire = key.strip_prefix(prefix).unwrap_or(key);
    let (geo, model) = match provider {
        "azure" => placed(wire, |place| ZONES.contains(&place)),
        "bedrock" | "bedrock-mantle" => {
            let (geo, model) = placed(wire, is_aws_region);
            if model.contains('/') {
                return None;
            }
            match model.split_once('.') {
                Some((profile, _)) if geo.is_empty() && PROFILES.contains(&profile) => (profile, model),
                _ => (geo, model),
            }
        }
        _ => ("", wire),
    };
    Some(Named { provider, model: model.to_owned(), geo: geo.to_owned(), name: own_name(model) })
}

/// `place/model` → both.
fn placed(wire: &str, is_place: impl Fn(&str) -> bool) -> (&str, &str) {
    match wire.split_once('/') {
        Some((place, model)) if is_place(place) => (place, model),
        _ => ("", wire),
    }
}

fn is_aws_region(word: &str) -> bool {
    let mut parts = word.rsplit('-');
    parts.next().is_some_and(|number| number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit()))
        && parts.count() >= 2
        && !word.contains('.')
}

/// The model's own name: no path, no profile, no vendor, no revision, lower case.
fn own_name(wire: &str) -> String {
    let mut name = wire.rsplit('/').next().unwrap_or(wire);
    if let Some((profile, rest)) = name.split_once('.')
        && PROFILES.contains(&profile)
    {
        name = rest;
    }
    if let Some((vendor, rest)) = name.split_once('.')
        && VENDORS.contains(&vendor)
    {
        name = rest;
    }
    name = name.split_once('@').map_or(name, |(name, _)| name);
    name = name.strip_suffix("-maas").unwrap_or(name);
    if let Some((before, revision)) = name.rsplit_once(':')
        && revision.bytes().all(|byte| byte.is_ascii_digit())
    {
        name = before;
        if let Some((before, version)) = name.rsplit_once('-')
            && matches!(version.trim_start_matches('v'), "1" | "2" | "3")
        {
            name = before;
        }
    }
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn names_are_taken_apart() {
        for (key, provider, expected) in [
            ("gpt-5.4", "openai", Some(("openai", "gpt-5.4", "", "gpt-5.4"))),
            ("azure/eu/gpt-6.1-sol", "azure", Some(("azure", "gpt-6.1-sol", "eu", "gpt-6.1-sol"))),
            (
                "us.openai.gpt-5.4",
                "bedrock_converse",
                Some(("bedrock", "us.openai.gpt-5.4", "us", "gpt-5.4")),
            ),
            (
                "openai.gpt-oss-120b-1:0",
                "bedrock_converse",
                Some(("bedrock", "openai.gpt-oss-120b-1:0", "", "gpt-oss-120b")),
            ),
            (
                "anthropic.claude-3-5-sonnet-20241022-v2:0",
                "bedrock",
                Some((
                    "bedrock",
                    "anthropic.claude-3-5-sonnet-20241022-v2:0",
                    "",
                    "claude-3-5-sonnet-20241022",
                )),
            ),
            (
                "bedrock/us-gov-west-1/anthropic.claude-opus-5-5",
                "bedrock",
                Some(("bedrock", "anthropic.claude-opus-5-5", "us-gov-west-1", "claude-opus-5-5")),
            ),
            ("bedrock/us-east-1/1-month-commitment/anthropic.claude-v1", "bedrock", None),
            (
                "vertex_ai/claude-opus-5-5@default",
                "vertex_ai-anthropic_models",
                Some(("vertex", "claude-opus-5-5@default", "", "claude-opus-5-5")),
            ),
            (
                "vertex_ai/openai/gpt-oss-120b-maas",
                "vertex_ai-openai_models",
                Some(("vertex", "openai/gpt-oss-120b-maas", "", "gpt-oss-120b")),
            ),
            (
                "gemini/gemini-3.8-flash",
                "gemini",
                Some(("gemini", "gemini-3.8-flash", "", "gemini-3.8-flash")),
            ),
            ("fal_ai/x", "fal_ai", None),
        ] {
            let found = named(key, provider);
            let found = found.as_ref().map(|n| (n.provider, &*n.model, &*n.geo, &*n.name));
            assert_eq!(found, expected, "{key}");
        }
    }
}
