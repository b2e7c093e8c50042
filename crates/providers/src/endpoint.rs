//! A deployment, checked and prepared: where it is, what is spoken there, and everything of its requests that
//! does not change from call to call.

use crate::{
    evidence::{BodyMarks, Evidence, Hearing},
    fault::Answer,
    origin::{Base, Origin},
    provider::Provider,
    written::{AuthMethod, Errors, FieldError, Written},
};
use bytes::Bytes;
use dialects::Quirks;
use domain::{CallId, Code, Dialect, Fault, RetryClass, Secret, SecretNeed, Source, product};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};
use jiff::Timestamp;
use std::{fmt, sync::Arc};

/// A deployment, checked and prepared. Made by [`Provider::check`] alone, so whoever holds one holds a valid one.
#[derive(Clone, Debug)]
pub struct Endpoint {
    provider: &'static dyn Provider,
    dialect: Dialect,
    origin: Origin,
    overridden: bool,
    wire_model: Box<str>,
    model_in_body: bool,
    region: Option<Box<str>>,
    reach: Reach,
    quirks: Quirks,
    uri: Uri,
    uri_stream: Uri,
    uri_embeddings: Option<Uri>,
    headers: HeaderMap,
    call_header: Option<HeaderName>,
    secret_need: SecretNeed,
    proof: Proof,
    hearing: Hearing,
}

/// How far a provider may carry a call from the region that was called, as the endpoint's own form says. What a
/// contract adds to it is a placement fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It stays in the region that was called.
    Region,
    /// Anywhere in a zone that the provider defines (`us`, `eu`, `apac` …).
    Zone(Box<str>),
    /// Anywhere.
    Global,
    /// The endpoint's form does not tell.
    Unknown,
}

/// How a request proves who sends it.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// Not at all.
    None,
    /// `authorization: Bearer …`.
    Bearer,
    /// The key alone in a header.
    Header(HeaderName),
    /// A signature over the whole request.
    Signed(Arc<dyn Sign>),
}

/// Signs a request that is otherwise complete.
pub(crate) trait Sign: fmt::Debug + Send + Sync {
    /// Adds the signature's headers.
    fn sign(&self, request: &mut http::Request<Bytes>, secret: &Secret, now: Timestamp) -> Result<(), Fault>;
}

/// What is asked for. Each has a URL of its own; the rest of a request is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operation {
    /// An answer of the model, in the endpoint's dialect.
    #[default]
    Chat,
    /// Vectors of texts, in OpenAI's embeddings format; only where [`Endpoint::embeddings_target`] is some.
    Embeddings,
}

/// What changes from call to call.
#[derive(Clone, Debug)]
pub struct RequestParts<'a> {
    /// What is asked for.
    pub operation: Operation,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The secret, of the kind that [`Endpoint::secret_need`] names.
    pub secret: &'a Secret,
    /// The time, for signatures.
    pub now: Timestamp,
    /// The call, told to providers that keep a client's request id.
    pub call: CallId,
    /// The body, in the endpoint's dialect, with the wire model already in it where it stands there.
    pub body: Bytes,
}

impl Endpoint {
    /// Whose deployment it is.
    #[must_use]
    pub fn provider(&self) -> &'static dyn Provider {
        self.provider
    }

    /// What is spoken.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where a connection goes.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// True where the operator wrote the URL: the host's name then proves nothing about who answers.
    #[must_use]
    pub const fn is_overridden(&self) -> bool {
        self.overridden
    }

    /// The model's name at the provider.
    #[must_use]
    pub fn wire_model(&self) -> &str {
        &self.wire_model
    }

    /// Whether the body names the model. Where it does not, the URL does, and a body that is passed through
    /// must have its `model` taken out.
    #[must_use]
    pub const fn model_in_body(&self) -> bool {
        self.model_in_body
    }

    /// The region, location or residency host that is called, where the provider has them.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// How far the provider may carry a call from there.
    #[must_use]
    pub const fn reach(&self) -> &Reach {
        &self.reach
    }

    /// How the host deviates from the dialect.
    #[must_use]
    pub const fn quirks(&self) -> Quirks {
        self.quirks
    }

    /// What kind of secret a request needs.
    #[must_use]
    pub const fn secret_need(&self) -> &SecretNeed {
        &self.secret_need
    }

    /// The whole URL of a request, for screens, probes and tests.
    #[must_use]
    pub fn url(&self, stream: bool) -> String {
        format!("{}{}", self.origin, self.target(stream))
    }

    /// Path and query of a request.
    #[must_use]
    pub const fn target(&self, stream: bool) -> &Uri {
        if stream { &self.uri_stream } else { &self.uri }
    }

    /// Path and query of a request for embeddings; `None` where the provider has none of OpenAI's format.
    #[must_use]
    pub const fn embeddings_target(&self) -> Option<&Uri> {
        self.uri_embeddings.as_ref()
    }

    /// The HTTP request for `parts`.
    ///
    /// # Errors
    /// As [`Provider::request`].
    pub fn request(&self, parts: RequestParts<'_>) -> Result<http::Request<Bytes>, Fault> {
        self.provider.request(self, parts)
    }

    /// A non-2xx answer → fault.
    #[must_use]
    pub fn fault(&self, answer: &Answer<'_>) -> Fault {
        self.provider.fault(self, answer)
    }

    /// Whether a caller of the same dialect may read this error body as it is.
    #[must_use]
    pub fn relayable(&self, status: u16, body: &[u8]) -> bool {
        self.provider.relayable(self, status, body)
    }

    /// Who served an answer.
    #[must_use]
    pub fn evidence(&self, headers: &HeaderMap, body: BodyMarks<'_>) -> Evidence {
        self.provider.evidence(self, headers, body)
    }

    /// Whose marks tell something in its answers.
    pub(crate) const fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    /// Whether a request's proof covers its body: then the body must be at hand in one piece.
    #[must_use]
    pub const fn signs_body(&self) -> bool {
        matches!(self.proof, Proof::Signed(_))
    }

    /// Whether a new secret may help after a 401: cloud identities give out new ones, a key stays the same.
    #[must_use]
    pub const fn secret_renews(&self) -> bool {
        matches!(self.secret_need, SecretNeed::Entra { .. } | SecretNeed::Google | SecretNeed::Aws)
    }

    /// Puts a request together: prepared headers, the call's id, the proof.
    pub(crate) fn build(&self, parts: RequestParts<'_>) -> Result<http::Request<Bytes>, Fault> {
        let target = match (parts.operation, self.embeddings_target()) {
            (Operation::Chat, _) => self.target(parts.stream),
            (Operation::Embeddings, Some(target)) => target,
            (Operation::Embeddings, None) => return Err(no_embeddings()),
        };
        let mut request = http::Request::new(parts.body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(name) = &self.call_header
            && let Ok(id) = HeaderValue::from_str(parts.call.text().as_str())
        {
            fill(request.headers_mut(), name, id);
        }
        match (&self.proof, parts.secret) {
            (Proof::None, _) => {}
            (Proof::Bearer, Secret::Token { value, .. }) => {
                fill(request.headers_mut(), &AUTHORIZATION, secret_header("Bearer ", value)?);
            }
            (Proof::Header(name), Secret::Token { value, .. }) => {
                fill(request.headers_mut(), name, secret_header("", value)?);
            }
            (Proof::Signed(signer), secret @ Secret::Aws { .. }) => {
                signer.sign(&mut request, secret, parts.now)?;
            }
            (_, _) => return Err(credentials("the secret is not of the kind that the endpoint needs")),
        }
        Ok(request)
    }
}

/// A fault of our own credentials; the caller is told no more than that.
pub(crate) fn credentials(detail: &str) -> Fault {
    let fault = Fault::new(
        Source::Gateway,
        RetryClass::NextCandidate,
        Code::UpstreamAuth,
        "The gateway's credentials for the model's host do not work; its operator has been told why.",
    );
    Fault { counts_against_health: true, ..fault }.because(detail)
}

/// Placement filters such deployments out; this is the last line of defence.
fn no_embeddings() -> Fault {
    Fault::new(
        Source::Gateway,
        RetryClass::NextCandidate,
        Code::UnsupportedParameter,
        "the deployment has no embeddings API of OpenAI's format",
    )
}

/// Puts a header where [`Draft::finish`] left room for it, so that the table of names is neither searched twice
/// nor grown.
fn fill(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    match headers.get_mut(name) {
        Some(room) => *room = value,
        None => {
            headers.insert(name.clone(), value);
        }
    }
}

fn secret_header(scheme: &str, secret: &str) -> Result<HeaderValue, Fault> {
    let mut text = Vec::with_capacity(scheme.len() + secret.len());
    text.extend_from_slice(scheme.as_bytes());
    text.extend_from_slice(secret.as_bytes());
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| credentials("the secret holds a character that no header may hold (a line break?)"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a provider's folder says of a deployment; [`Draft::finish`] makes the [`Endpoint`] of it.
pub(crate) struct Draft {
    pub(crate) provider: &'static dyn Provider,
    pub(crate) dialect: Dialect,
    pub(crate) base: Base,
    /// Path and query after the base's prefix, whole body and stream.
    pub(crate) path: String,
    pub(crate) path_stream: String,
    /// The same for embeddings, where there are any of OpenAI's format.
    pub(crate) path_embeddings: Option<String>,
    pub(crate) wire_model: String,
    pub(crate) model_in_body: bool,
    pub(crate) region: Option<String>,
    pub(crate) reach: Reach,
    pub(crate) quirks: Quirks,
    /// Constant headers beside host, content type and the like.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The header in which the provider keeps a client's request id.
    pub(crate) call_header: Option<HeaderName>,
    pub(crate) secret_need: SecretNeed,
    pub(crate) proof: Proof,
}

impl Draft {
    /// A draft with nothing but where, what and how to prove it; the rest is usual.
    pub(crate) fn new(
        provider: &'static dyn Provider,
        dialect: Dialect,
        base: Base,
        wire_model: String,
        auth: AuthMethod,
    ) -> Self {
        let (secret_need, proof) = match auth {
            AuthMethod::None => (SecretNeed::None, Proof::None),
            AuthMethod::Adc => (SecretNeed::Google, Proof::Bearer),
            _ => (SecretNeed::Key, Proof::Bearer),
        };
        Self {
            provider,
            dialect,
            base,
            path: String::new(),
            path_stream: String::new(),
            path_embeddings: None,
            wire_model,
            model_in_body: true,
            region: None,
            reach: Reach::Unknown,
            quirks: Quirks::default(),
            headers: Vec::new(),
            call_header: None,
            secret_need,
            proof,
        }
    }

    /// The endpoint, or what is wrong with its URL.
    pub(crate) fn finish(self, written: &Written, mut errors: Errors) -> Result<Endpoint, Vec<FieldError>> {
        let uri = errors.take(target(&self.base, &self.path));
        let uri_stream = errors.take(target(&self.base, &self.path_stream));
        let uri_embeddings =
            self.path_embeddings.as_deref().and_then(|path| errors.take(target(&self.base, path)));
        let host = HeaderValue::try_from(self.base.origin.authority()).map_err(|_| FieldError {
            field: "endpoint",
            message: "has a host that cannot be written in a header".into(),
            hint: "write an ASCII host name".into(),
        });
        let host = errors.take(host);
        let endpoint = match (uri, uri_stream, host) {
            (Some(uri), Some(uri_stream), Some(host)) => {
                let mut headers = HeaderMap::with_capacity(8);
                headers.insert(HOST, host);
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
                if let Ok(agent) = HeaderValue::try_from(user_agent()) {
                    headers.insert(USER_AGENT, agent);
                }
                headers.extend(self.headers);
                // What each call fills in.
                let proof = match &self.proof {
                    Proof::Bearer => Some(&AUTHORIZATION),
                    Proof::Header(name) => Some(name),
                    Proof::None | Proof::Signed(_) => None,
                };
                for name in self.call_header.iter().chain(proof) {
                    headers.insert(name.clone(), HeaderValue::from_static(""));
                }
                Some(Endpoint {
                    provider: self.provider,
                    dialect: self.dialect,
                    origin: self.base.origin,
                    overridden: self.base.overridden,
                    wire_model: self.wire_model.into(),
                    model_in_body: self.model_in_body,
                    region: self.region.map(Into::into),
                    reach: self.reach,
                    quirks: written.quirks.over(self.quirks),
                    uri,
                    uri_stream,
                    uri_embeddings,
                    headers,
                    call_header: self.call_header,
                    secret_need: self.secret_need,
                    proof: self.proof,
                    hearing: Hearing::of(self.provider.descriptor()),
                })
            }
            _ => None,
        };
        errors.finish(endpoint)
    }
}

/// The `user-agent` of every upstream request.
#[must_use]
pub fn user_agent() -> String {
    format!("{}/{}", product::NAME, env!("CARGO_PKG_VERSION"))
}

fn target(base: &Base, path: &str) -> Result<Uri, FieldError> {
    format!("{}{path}", base.prefix).parse().map_err(|_| FieldError {
        field: "endpoint",
        message: "gives a URL that cannot be called".into(),
        hint: "write the path of letters, digits, `-`, `_`, `.`, `~` and `/`".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{endpoint, now};

    fn request(endpoint: &Endpoint, secret: &Secret) -> Result<http::Request<Bytes>, Fault> {
        let body = Bytes::from_static(b"{\"kept\":1}");
        let operation = Operation::Chat;
        let call = CallId::from_bits(1);
        endpoint.request(RequestParts { operation, stream: true, secret, now: now(), call, body })
    }

    #[test]
    fn a_secret_of_the_wrong_kind_is_our_fault() {
        let key = endpoint("provider = 'openai'\nmodel = 'm'");
        let signed = endpoint("provider = 'bedrock'\nmodel = 'm'\nwire_model = 'a.b'\nregion = 'us-east-2'");
        let aws = Secret::Aws {
            access_key_id: "AKID".into(),
            secret_access_key: "canary".into(),
            session_token: None,
            expires_at: None,
        };
        let newline = Secret::token("canary\r\nx-evil: 1");
        let wrong = [(&key, &aws), (&key, &Secret::None), (&key, &newline), (&signed, &newline)];
        for (endpoint, secret) in wrong {
            let fault = request(endpoint, secret).expect_err("refused");
            assert_eq!((fault.code, fault.source), (Code::UpstreamAuth, Source::Gateway));
            assert!(!format!("{fault:?} {fault}").contains("canary"), "{fault}");
        }
    }

    #[test]
    fn a_host_that_needs_no_secret_gets_none() {
        let open = endpoint("provider = 'vllm'\nmodel = 'm'");
        let sent = request(&open, &Secret::token("canary")).expect("sent");
        assert!(!sent.headers().values().any(|value| value.as_bytes() == b"Bearer canary"));
        assert_eq!(sent.body().as_ref(), b"{\"kept\":1}");
    }

    #[test]
    fn secrets_are_hidden_from_logs_of_headers() {
        let key = endpoint("provider = 'anthropic'\nmodel = 'm'");
        let sent = request(&key, &Secret::token("canary")).expect("sent");
        assert_eq!(sent.headers().get("x-api-key").map(HeaderValue::as_bytes), Some(&b"canary"[..]));
        assert!(!format!("{sent:?}").contains("canary"));
    }
}
