//! A deployment's provider fields as the operator writes them, and how what is wrong with them is told.

use crate::provider::Provider;
use dialects::{MaxTokensField, Quirks};
use domain::Dialect;
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

/// The provider-specific fields of a deployment as they stand in TOML. Which of them a provider takes stands in
/// its [`crate::Descriptor::fields`]; one that it does not take is an error, so that a misplaced field never
/// goes unnoticed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Written {
    /// Who is called: an id of the registry, such as `azure` or `openai-compatible`.
    pub provider: String,
    /// The model's name in the catalog.
    pub model: String,
    /// The model's name at the provider, where it differs from `model`.
    pub wire_model: Option<String>,
    /// The name of the Azure deployment; another word for `wire_model` there.
    pub deployment: Option<String>,
    /// Replaces the provider's own URL: scheme, host, port and, where it has a path, the prefix before the
    /// provider's paths.
    pub endpoint: Option<String>,
    /// The name of the Azure resource.
    pub resource: Option<String>,
    /// A dated API version (`2025-04-01-preview`): Azure's deployment URLs instead of the v1 API; for
    /// Anthropic, the `anthropic-version` header.
    pub api_version: Option<String>,
    /// The region that is called: an AWS region; for `openai`, a residency host (`us`, `eu`, `au`, `in`, `jp`).
    pub region: Option<String>,
    /// Google's location: a region, a multi-region (`us`, `eu`) or `global`.
    pub location: Option<String>,
    /// The Google Cloud project.
    pub project: Option<String>,
    /// Bedrock's inference profile: `us`, `eu`, `jp`, `au`, `apac`, `in`, `us-gov` or `global`. Put before
    /// `wire_model`.
    pub profile: Option<String>,
    /// How we prove ourselves to the provider.
    pub auth: Option<AuthMethod>,
    /// What is spoken, where the provider speaks several and the model's name does not tell.
    #[schemars(with = "Option<String>")]
    pub dialect: Option<Dialect>,
    /// How this host deviates from the dialect.
    pub quirks: QuirksWritten,
    /// Permits `http://` to a host that is not on a private network.
    pub allow_http: bool,
}

/// How we prove ourselves to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMethod {
    /// A key in the provider's own header.
    Key,
    /// A key or token as `authorization: Bearer`.
    Bearer,
    /// A Microsoft Entra token.
    Entra,
    /// Google's application default credentials.
    Adc,
    /// AWS Signature Version 4 with keys of the standard chain.
    Sigv4,
    /// Nothing: a host on a private network.
    None,
}

impl AuthMethod {
    /// The word in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Bearer => "bearer",
            Self::Entra => "entra",
            Self::Adc => "adc",
            Self::Sigv4 => "sigv4",
            Self::None => "none",
        }
    }
}

/// The quirks of a host as the operator writes them; what is not written is the provider's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuirksWritten {
    /// How the host wants the answer's token limit: `as-given`, `max_completion_tokens` or `max_tokens`.
    pub max_tokens_field: Option<MaxTokensWritten>,
    /// The host knows no `developer` role.
    pub no_developer_role: Option<bool>,
    /// The host demands tool-call ids of nine letters and digits.
    pub short_tool_ids: Option<bool>,
    /// The host refuses a user message straight after a tool message.
    pub assistant_between_tool_and_user: Option<bool>,
    /// The host refuses `name` on messages.
    pub no_message_name: Option<bool>,
    /// The host does not know `stream_options`.
    pub no_stream_options: Option<bool>,
    /// The host takes no `reasoning_effort`.
    pub no_reasoning_effort: Option<bool>,
    /// The host refuses ids on function calls.
    pub no_function_call_ids: Option<bool>,
    /// The host refuses image URLs.
    pub no_image_urls: Option<bool>,
}

/// [`MaxTokensField`] as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum MaxTokensWritten {
    /// As the caller spelled it.
    #[serde(rename = "as-given")]
    AsGiven,
    /// The new name.
    #[serde(rename = "max_completion_tokens")]
    MaxCompletionTokens,
    /// The old name.
    #[serde(rename = "max_tokens")]
    MaxTokens,
}

impl QuirksWritten {
    /// `base` with what is written laid over it.
    #[must_use]
    pub fn over(&self, base: Quirks) -> Quirks {
        Quirks {
            max_tokens_field: match self.max_tokens_field {
                None => base.max_tokens_field,
                Some(MaxTokensWritten::AsGiven) => MaxTokensField::AsGiven,
                Some(MaxTokensWritten::MaxCompletionTokens) => MaxTokensField::MaxCompletionTokens,
                Some(MaxTokensWritten::MaxTokens) => MaxTokensField::MaxTokens,
            },
            no_developer_role: self.no_developer_role.unwrap_or(base.no_developer_role),
            short_tool_ids: self.short_tool_ids.unwrap_or(base.short_tool_ids),
            assistant_between_tool_and_user: self
                .assistant_between_tool_and_user
                .unwrap_or(base.assistant_between_tool_and_user),
            no_message_name: self.no_message_name.unwrap_or(base.no_message_name),
            no_stream_options: self.no_stream_options.unwrap_or(base.no_stream_options),
            no_reasoning_effort: self.no_reasoning_effort.unwrap_or(base.no_reasoning_effort),
            anthropic_version_in_body: base.anthropic_version_in_body,
            no_function_call_ids: self.no_function_call_ids.unwrap_or(base.no_function_call_ids),
            no_image_urls: self.no_image_urls.unwrap_or(base.no_image_urls),
        }
    }
}

/// One thing that is wrong with a deployment as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub hint: Cow<'static, str>,
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {} ({})", self.field, self.message, self.hint)
    }
}

impl std::error::Error for FieldError {}

/// Collects the errors of one deployment while its fields are read.
#[derive(Debug, Default)]
pub(crate) struct Errors(Vec<FieldError>);

impl Errors {
    /// Notes an error.
    pub(crate) fn add(
        &mut self,
        field: &'static str,
        message: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(FieldError { field, message: message.into(), hint: hint.into() });
    }

    /// Notes a fallible step's error and goes on without its value.
    pub(crate) fn take<T>(&mut self, result: Result<T, FieldError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    /// `value` where nothing was noted.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }

    /// Notes each written field that `provider` does not take, an auth method and a dialect that it does not
    /// know. Returns the auth method and the dialect to use.
    pub(crate) fn common(
        &mut self,
        provider: &dyn Provider,
        written: &Written,
        usual: Dialect,
    ) -> (AuthMethod, Dialect) {
        let descriptor = provider.descriptor();
        for (name, value) in written.optional_fields() {
            if value.is_some() && !descriptor.fields.iter().any(|field| field.name == name) {
                let taken: Vec<&str> = descriptor.fields.iter().map(|field| field.name).collect();
                let hint = if taken.is_empty() {
                    format!("remove it; {} takes none of its own", descriptor.name)
                } else {
                    format!("remove it; {} takes {}", descriptor.name, taken.join(", "))
                };
                self.add(name, format!("is not a field of provider `{}`", descriptor.id), hint);
            }
        }
        if written.model.is_empty() {
            self.add("model", "is missing", "name the model as the catalog or your own models do");
        }
        let usual_auth = descriptor.auths.first().copied().unwrap_or(AuthMethod::None);
        let auth = written.auth.unwrap_or(usual_auth);
        if !descriptor.auths.contains(&auth) {
            let known: Vec<&str> = descriptor.auths.iter().map(|auth| auth.name()).collect();
            self.add(
                "auth",
                format!("`{}` is not known to provider `{}`", auth.name(), descriptor.id),
                format!("use one of: {}", known.join(", ")),
            );
        }
        let dialect = written.dialect.unwrap_or(usual);
        if !descriptor.dialects.contains(&dialect) {
            let known: Vec<&str> = descriptor.dialects.iter().map(|dialect| dialect.name()).collect();
            self.add(
                "dialect",
                format!("`{dialect}` is not spoken by provider `{}`", descriptor.id),
                format!("use one of: {}", known.join(", ")),
            );
        }
        (auth, dialect)
    }

    /// The model's name at the provider: `deployment`, else `wire_model`, else `model`. Checked: 1 to 512
    /// visible ASCII characters.
    pub(crate) fn wire_model(&mut self, written: &Written) -> String {
        let (field, name) = match (&written.deployment, &written.wire_model) {
            (Some(_), Some(_)) => {
                self.add("wire_model", "is written beside `deployment`", "keep one of the two");
                return String::new();
            }
            (Some(name), None) => ("deployment", name.as_str()),
            (None, Some(name)) => ("wire_model", name.as_str()),
            // That it is missing was said already.
            (None, None) if written.model.is_empty() => return String::new(),
            (None, None) => ("model", written.model.as_str()),
        };
        if name.is_empty()
            || name.len() > 512
            || !name.bytes().all(|b| b.is_ascii_graphic())
            || !name.bytes().any(|b| b.is_ascii_alphanumeric())
        {
            self.add(
                field,
                "is not a model's name",
                "1 to 512 letters, digits and signs without blanks, as the provider spells it",
            );
        }
        name.to_owned()
    }
}

impl Written {
    /// The optional text fields with their names.
    fn optional_fields(&self) -> [(&'static str, &Option<String>); 7] {
        [
            ("deployment", &self.deployment),
            ("resource", &self.resource),
            ("api_version", &self.api_version),
            ("region", &self.region),
            ("location", &self.location),
            ("project", &self.project),
            ("profile", &self.profile),
        ]
    }
}

/// Text that becomes part of a host name or path: 1 to 63 lower-case letters, digits and hyphens, neither first
/// nor last a hyphen.
pub(crate) fn label<'a>(
    field: &'static str,
    text: &'a str,
    hint: &'static str,
) -> Result<&'a str, FieldError> {
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain || text.is_empty() || text.len() > 63 || text.starts_with('-') || text.ends_with('-') {
        return Err(FieldError {
            field,
            message: format!("`{}` is not a name of letters, digits and hyphens", text.escape_debug()),
            hint: hint.into(),
        });
    }
    Ok(text)
}
