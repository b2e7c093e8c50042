//! Google's application default credentials: `GOOGLE_APPLICATION_CREDENTIALS` (service account, workload identity
//! federation, impersonation), `gcloud auth application-default login`, the metadata server.

use crate::{
    fault,
    refreshing::{Obtain, Obtained},
};
use domain::{Fault, Secret};
use google_cloud_auth::credentials::{AccessTokenCredentials, Builder};
use std::time::Duration;
use tokio::sync::Mutex;

/// What a token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Google's library renews its tokens itself and does not tell their end; asking it again costs no request.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How long a token is used after the library gave it last: less than it is good for at any time.
const KEEP_FOR: Duration = Duration::from_secs(180);

/// Tokens of the application default credentials.
#[derive(Debug, Default)]
pub struct Google {
    library: Mutex<Option<AccessTokenCredentials>>,
}

impl Obtain for Google {
    fn name(&self) -> &str {
        "google"
    }

    async fn obtain(&self, refused: bool) -> Result<Obtained, Fault> {
        let mut library = self.library.lock().await;
        if refused {
            // Its cache would give out the refused token again.
            *library = None;
        }
        let credentials = match library.as_ref() {
            Some(credentials) => credentials.clone(),
            None => library.insert(build()?).clone(),
        };
        let token = credentials.access_token().await.map_err(|error| {
            // After an error that it takes for lasting the library never tries again by itself.
            *library = None;
            fault(&format!("Google's credentials give no token: {}", chain(&error)))
        })?;
        Ok(Obtained {
            secret: Secret::token(&token.token),
            look_again: Some(LOOK_AGAIN),
            keep_for: Some(KEEP_FOR),
        })
    }
}

fn build() -> Result<AccessTokenCredentials, Fault> {
    crate::tls_provider();
    Builder::default().with_scopes([SCOPE]).build_access_token_credentials().map_err(|error| {
        fault(&format!(
            "Google's credentials cannot be used: {}. Set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth \
             application-default login`",
            chain(&error)
        ))
    })
}

/// An error with its causes, which Google's errors keep to themselves.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..8 {
        let Some(inner) = cause else { break };
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
