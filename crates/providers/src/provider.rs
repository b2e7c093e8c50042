//! What a provider is: the trait that every folder implements, and the descriptor from which help, documents,
//! configuration schema and test matrices are derived.

use crate::{
    endpoint::{Endpoint, RequestParts},
    evidence::{self, BodyMarks, Evidence, Fingerprint},
    fault::{self, Answer},
    written::{AuthMethod, FieldError, Written},
};
use bytes::Bytes;
use domain::{Dialect, Fault};
use http::HeaderMap;

/// An adapter for who is called. One static value per provider; everything that belongs to one deployment is
/// in its [`Endpoint`].
pub trait Provider: Send + Sync {
    /// Who it is.
    fn descriptor(&self) -> &'static Descriptor;

    /// A deployment as written → checked and prepared.
    ///
    /// # Errors
    /// Every error at once, each with the field and a hint.
    fn check(&'static self, written: &Written) -> Result<Endpoint, Vec<FieldError>>;

    /// The HTTP request for `parts`, in origin form with its `host` header, ready for a connection to
    /// [`Endpoint::origin`]. URIs and constant headers were prepared by [`Provider::check`].
    ///
    /// # Errors
    /// `upstream_auth` where the secret is not of the kind that the endpoint needs or cannot be written as a
    /// header.
    fn request(&self, endpoint: &Endpoint, parts: RequestParts<'_>) -> Result<http::Request<Bytes>, Fault> {
        endpoint.build(parts)
    }

    /// A non-2xx answer → fault: whose it is, what may be tried after it, how long to wait.
    fn fault(&self, endpoint: &Endpoint, answer: &Answer<'_>) -> Fault {
        fault::classify(endpoint, answer, answer.said.kind)
    }

    /// Whether the caller may read this error body as it is: a valid error object of the endpoint's dialect that
    /// tells of the request, not of our credentials or deployment. Only for calls that were passed through.
    fn relayable(&self, endpoint: &Endpoint, status: u16, body: &[u8]) -> bool {
        fault::relayable(endpoint.dialect(), status, body)
    }

    /// Who served an answer, from its headers and (where given) its body's marks.
    fn evidence(&self, endpoint: &Endpoint, headers: &HeaderMap, body: BodyMarks<'_>) -> Evidence {
        evidence::judge(endpoint, headers, body)
    }

    /// Whether the provider is known to bill a cancelled call to its end.
    fn bills_cancelled(&self) -> bool {
        self.descriptor().bills_cancelled
    }
}

impl std::fmt::Debug for dyn Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider({})", self.descriptor().id)
    }
}

/// What is known of a provider before any deployment of it exists.
#[derive(Debug)]
pub struct Descriptor {
    /// The word in configuration: `azure`.
    pub id: &'static str,
    /// The name on screens and in documents.
    pub name: &'static str,
    /// The clouds on which its answers are computed, where that is one of the known words (`azure`, `aws`,
    /// `google`); empty where it is not disclosed or the operator's own.
    pub clouds: &'static [&'static str],
    /// What it speaks, the usual one first.
    pub dialects: &'static [Dialect],
    /// How one proves oneself to it, the usual way first.
    pub auths: &'static [AuthMethod],
    /// Environment variables in which its key usually stands, the first preferred. `serve` without a
    /// configuration looks there.
    pub env_keys: &'static [&'static str],
    /// The URL under which it is called where nothing else is written; `{…}` are fields.
    pub base_url: &'static str,
    /// The fields of a deployment that it takes beside `provider`, `model`, `wire_model`, `endpoint`, `auth`,
    /// `dialect`, `quirks` and `allow_http`.
    pub fields: &'static [FieldUse],
    /// Regions or locations that are known, for help and near-miss hints. Not a limit.
    pub regions: &'static [&'static str],
    /// Whether the provider is known to bill a call that was cancelled in mid-stream to its end, so that what
    /// it cost is an estimate.
    pub bills_cancelled: bool,
    /// By what its answers are known.
    pub fingerprint: Fingerprint,
    /// Folders of recorded traffic that its tests read.
    pub recordings: &'static [&'static str],
    /// Where its API is documented.
    pub docs: &'static str,
}

/// A field of a deployment that a provider takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldUse {
    /// The field.
    pub name: &'static str,
    /// Whether it must be written (where no `endpoint` stands for it).
    pub required: bool,
    /// One line for help and documents.
    pub says: &'static str,
}
