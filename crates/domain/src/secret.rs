//! Secrets and the port through which they come. A secret never shows itself: not in `Debug`, not in errors.

use crate::fault::Fault;
use jiff::Timestamp;
use std::{fmt, future::Future, pin::Pin, sync::Arc};

/// What a provider needs in order to be called. The provider declares it, the operator's configuration says
/// where it comes from, `credentials` resolves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretNeed {
    /// Nothing (a host on a private network).
    None,
    /// A key that the operator keeps in the environment or a file.
    Key,
    /// A Microsoft Entra token for this scope.
    Entra {
        /// For instance `https://cognitiveservices.azure.com/.default`.
        scope: &'static str,
    },
    /// A Google OAuth token (application default credentials).
    Google,
    /// AWS keys from the standard chain, to sign with.
    Aws,
}

/// A secret, ready to use.
pub enum Secret {
    /// Nothing.
    None,
    /// A key or bearer token.
    Token {
        /// The token.
        value: Box<str>,
        /// When it ends, where that is known.
        expires_at: Option<Timestamp>,
    },
    /// AWS keys.
    Aws {
        /// Access key id.
        access_key_id: Box<str>,
        /// Secret access key.
        secret_access_key: Box<str>,
        /// Session token of temporary keys.
        session_token: Option<Box<str>>,
        /// When they end, where that is known.
        expires_at: Option<Timestamp>,
    },
}

impl Secret {
    /// A token without an end.
    #[must_use]
    pub fn token(value: &str) -> Self {
        Self::Token { value: value.into(), expires_at: None }
    }

    /// When it ends, where that is known.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::Token { expires_at, .. } | Self::Aws { expires_at, .. } => *expires_at,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Secret::None",
            Self::Token { .. } => "Secret::Token(hidden)",
            Self::Aws { .. } => "Secret::Aws(hidden)",
        })
    }
}

/// A secret that is being fetched.
pub type Fetch<'a> = Pin<Box<dyn Future<Output = Result<Arc<Secret>, Fault>> + Send + 'a>>;

/// Where one deployment's secret comes from. Implementations cache, refresh at 80 % of the secret's life,
/// and let one fetch serve all who wait.
pub trait SecretSource: Send + Sync {
    /// The secret, if one is at hand and valid: the usual case, without waiting.
    fn current(&self) -> Option<Arc<Secret>>;

    /// The secret, fetched where none is at hand.
    fn fetch(&self) -> Fetch<'_>;

    /// The upstream refused `rejected`: fetch anew, unless somebody has already done so.
    fn refresh(&self, rejected: &Arc<Secret>) -> Fetch<'_>;
}

/// A secret that never changes.
#[derive(Debug)]
pub struct FixedSecret(Arc<Secret>);

impl FixedSecret {
    /// Always yields `secret`.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(Arc::new(secret))
    }
}

impl SecretSource for FixedSecret {
    fn current(&self) -> Option<Arc<Secret>> {
        Some(Arc::clone(&self.0))
    }

    fn fetch(&self) -> Fetch<'_> {
        let secret = Arc::clone(&self.0);
        Box::pin(async move { Ok(secret) })
    }

    fn refresh(&self, _rejected: &Arc<Secret>) -> Fetch<'_> {
        self.fetch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_secret() {
        let secret = Secret::token("sk-canary");
        assert!(!format!("{secret:?} {:?}", FixedSecret::new(Secret::token("sk-canary"))).contains("canary"));
    }
}
