//! Cloud identities and keys → secrets, behind [`domain::SecretSource`].
//!
//! Start reading at [`refreshing::Refreshing`]: single flight, refresh at 80 % of a secret's life, the old one in
//! use until it ends, waits between failures. The other modules only say where a secret comes from:
//! [`key`] (environment, file), [`entra`] (Microsoft), [`google`], [`aws`]. Nothing of the clouds' own crates runs
//! before the first secret is asked for: a gateway without cloud identities pays for none.

pub mod aws;
pub mod entra;
pub mod google;
pub mod key;
pub mod refreshing;

use domain::{Clock, Code, Fault, RetryClass, SecretNeed, SecretSource, Source};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::Arc;

pub use refreshing::{Obtain, Obtained, Refreshing};

/// The source of a cloud identity's secrets, `None` where `need` is a key or nothing, which the operator's
/// configuration must name ([`key`]).
#[must_use]
pub fn identity(need: &SecretNeed, clock: Arc<dyn Clock>) -> Option<Arc<dyn SecretSource>> {
    match need {
        SecretNeed::None | SecretNeed::Key => None,
        SecretNeed::Entra { scope } => Some(Arc::new(Refreshing::new(entra::Entra::new(scope), clock))),
        SecretNeed::Google => Some(Arc::new(Refreshing::new(google::Google::default(), clock))),
        SecretNeed::Aws => Some(Arc::new(Refreshing::new(aws::Aws::default(), clock))),
    }
}

/// Sets the process-wide TLS provider where nobody has. Microsoft's and Google's crates share one HTTP client that
/// brings none of its own and panics without it.
pub(crate) fn tls_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been quicker, which is as good.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

/// The fault of a secret that cannot be had. The caller learns no more than that; the operator reads why.
pub(crate) fn fault(detail: &str) -> Fault {
    let fault = Fault::new(
        Source::Gateway,
        RetryClass::NextCandidate,
        Code::UpstreamAuth,
        "The gateway's credentials for the model's host do not work; its operator has been told why.",
    );
    Fault { counts_against_health: true, ..fault }.because(detail)
}
