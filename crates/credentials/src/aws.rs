//! AWS keys from the standard chain: environment, profile (static, SSO, process, assumed role), web identity, ECS and
//! EKS, the machine's metadata.

use crate::{
    fault,
    refreshing::{Obtain, Obtained},
};
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::provider::ProvideCredentials;
use domain::{Fault, Secret};
use jiff::Timestamp;
use std::time::Duration;

/// How long keys without an end are used before the chain is asked again (a profile may have been edited).
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// Keys of the standard chain.
#[derive(Debug, Default)]
pub struct Aws {
    profile: Option<String>,
}

impl Aws {
    /// Keys of a named profile instead of the default one.
    #[must_use]
    pub const fn of_profile(profile: String) -> Self {
        Self { profile: Some(profile) }
    }
}

impl Obtain for Aws {
    fn name(&self) -> &str {
        "aws"
    }

    // The chain is built anew each time, so that an edited profile or a rotated web-identity file is read.
    async fn obtain(&self, _refused: bool) -> Result<Obtained, Fault> {
        let mut chain = DefaultCredentialsChain::builder();
        if let Some(profile) = &self.profile {
            chain = chain.profile_name(profile);
        }
        let keys = chain.build().await.provide_credentials().await.map_err(|error| {
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), |why| format!("{error}: {why}"));
            fault(&format!("no AWS identity works ({why}). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or run where a role is"))
        })?;
        let expires_at = keys.expiry().and_then(|end| Timestamp::try_from(end).ok());
        Ok(Obtained {
            secret: Secret::Aws {
                access_key_id: keys.access_key_id().into(),
                secret_access_key: keys.secret_access_key().into(),
                session_token: keys.session_token().map(Into::into),
                expires_at,
            },
            look_again: expires_at.is_none().then_some(LOOK_AGAIN),
            keep_for: None,
        })
    }
}
