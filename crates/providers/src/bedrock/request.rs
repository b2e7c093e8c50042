//! URLs and signatures. A model's id is one path segment, percent-encoded; the signature's canonical path encodes
//! that once more, which `aws-sigv4` does. The service in the scope is `bedrock`, not the host's name.

use crate::{
    endpoint::{Draft, Proof, Sign, credentials},
    gemini::request::segment,
    openai::request::operation,
    origin::Base,
    provider::Provider,
    written::AuthMethod,
};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign},
    sign::v4,
};
use bytes::Bytes;
use dialects::{MaxTokensField, Quirks};
use domain::{Dialect, Fault, Secret, SecretNeed};
use http::{
    HeaderName, HeaderValue,
    header::{CONTENT_TYPE, HOST},
};
use jiff::Timestamp;
use std::{sync::Arc, time::SystemTime};

/// The service in a signature's scope.
const SERVICE: &str = "bedrock";

/// The host of a region, in the partition that the region's name tells.
pub(super) fn host(region: &str) -> String {
    let suffix = match region.split('-').next() {
        Some("cn") => "amazonaws.com.cn",
        Some("eusc") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("https://bedrock-runtime.{region}.{suffix}")
}

/// The inference profile before a model's id, and the id without it.
pub(super) fn split_profile<'a>(name: &'a str, profiles: &[&str]) -> (Option<&'a str>, &'a str) {
    match name.split_once('.') {
        Some((profile, rest)) if profiles.contains(&profile) && rest.contains('.') => (Some(profile), rest),
        _ => (None, name),
    }
}

pub(super) fn draft(
    provider: &'static dyn Provider,
    dialect: Dialect,
    base: Base,
    wire_model: String,
    auth: AuthMethod,
    region: &str,
) -> Draft {
    let mut draft = Draft::new(provider, dialect, base, wire_model, auth);
    if matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiResponses) {
        draft.path = format!("/openai/v1/{}", operation(dialect));
        draft.path_stream.clone_from(&draft.path);
        draft.quirks = Quirks { max_tokens_field: MaxTokensField::MaxCompletionTokens, ..Quirks::default() };
    } else {
        let model = segment(&draft.wire_model);
        draft.path = format!("/model/{model}/converse");
        draft.path_stream = format!("/model/{model}/converse-stream");
        draft.quirks = Quirks { no_image_urls: true, ..Quirks::default() };
        draft.model_in_body = false;
    }
    if auth == AuthMethod::Sigv4 {
        draft.secret_need = SecretNeed::Aws;
        draft.proof =
            Proof::Signed(Arc::new(Scope { region: region.into(), origin: draft.base.origin.to_string() }));
    }
    draft
}

/// What a signature is good for.
#[derive(Debug)]
struct Scope {
    region: Box<str>,
    /// Scheme and authority, as `aws-sigv4` wants a whole URL.
    origin: String,
}

impl Sign for Scope {
    fn sign(&self, request: &mut http::Request<Bytes>, secret: &Secret, now: Timestamp) -> Result<(), Fault> {
        let Secret::Aws { access_key_id, secret_access_key, session_token, .. } = secret else {
            return Err(credentials("the secret is not a pair of AWS keys"));
        };
        let token = session_token.as_deref().map(str::to_owned);
        let identity =
            Credentials::new(access_key_id.as_ref(), secret_access_key.as_ref(), token, None, "cabotage")
                .into();
        let mut settings = SigningSettings::default();
        // The path is ours and has no dots to fold; folding would undo an encoded one.
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(SystemTime::from(now))
            .settings(settings)
            .build()
            .map_err(|error| credentials(&error.to_string()))?
            .into();
        // Only what nobody on the way changes is signed.
        let signed = request.headers().iter().filter_map(|(name, value)| {
            let chosen = name == HOST || name == CONTENT_TYPE || name.as_str().starts_with("x-amz-");
            chosen.then(|| value.to_str().ok().map(|value| (name.as_str(), value))).flatten()
        });
        let url = format!("{}{}", self.origin, request.uri());
        let signable = SignableRequest::new("POST", url, signed, SignableBody::Bytes(request.body()))
            .map_err(|error| credentials(&error.to_string()))?;
        let (instructions, _) =
            sign(signable, &params).map_err(|error| credentials(&error.to_string()))?.into_parts();
        let (headers, _) = instructions.into_parts();
        for header in headers {
            let mut value = HeaderValue::try_from(header.value())
                .map_err(|_| credentials("the AWS keys hold a character that no header may hold"))?;
            value.set_sensitive(header.sensitive());
            request.headers_mut().insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}
