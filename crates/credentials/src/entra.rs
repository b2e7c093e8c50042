//! Microsoft Entra tokens. The first identity that the surroundings configure is used, and where it fails, that
//! is the error: a configured identity that does not work is no reason to become somebody else. In this order:
//! a client secret (`AZURE_CLIENT_SECRET` with `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`), workload identity
//! (`AZURE_FEDERATED_TOKEN_FILE`), managed identity where the platform announces one (`IDENTITY_ENDPOINT`,
//! `MSI_ENDPOINT`), else the machine's managed identity and, if there is none, the Azure CLI's login.

use crate::{
    fault,
    refreshing::{Obtain, Obtained},
};
use azure_core::{
    credentials::{AccessToken, Secret as AzureSecret, TokenCredential},
    http::{ClientOptions, RetryOptions},
};
use azure_identity::{
    AzureCliCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use domain::{Fault, Secret};
use jiff::Timestamp;
use std::{env, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long the machine's identity service may take before the machine is taken to have none.
const NO_MACHINE_IDENTITY: Duration = Duration::from_secs(3);

/// Tokens for one scope.
#[derive(Debug)]
pub struct Entra {
    scope: &'static str,
}

impl Entra {
    /// Tokens for `scope`, for instance `https://cognitiveservices.azure.com/.default`.
    #[must_use]
    pub const fn new(scope: &'static str) -> Self {
        Self { scope }
    }

    async fn token(
        &self,
        credential: Result<Arc<dyn TokenCredential>, azure_core::Error>,
    ) -> azure_core::Result<AccessToken> {
        credential?.get_token(&[self.scope], None).await
    }

    async fn any(&self) -> Result<AccessToken, String> {
        let failed = |who: &str, error: &azure_core::Error| format!("{who}: {error}");
        if let Some(secret) = variable("AZURE_CLIENT_SECRET") {
            return self.token(client_secret(secret)).await.map_err(|error| failed("client secret", &error));
        }
        if variable("AZURE_FEDERATED_TOKEN_FILE").is_some() {
            let credential =
                WorkloadIdentityCredential::new(Some(workload())).map(|c| c as Arc<dyn TokenCredential>);
            return self.token(credential).await.map_err(|error| failed("workload identity", &error));
        }
        if variable("IDENTITY_ENDPOINT").is_some() || variable("MSI_ENDPOINT").is_some() {
            return self.token(managed()).await.map_err(|error| failed("managed identity", &error));
        }
        let machine = match timeout(NO_MACHINE_IDENTITY, self.token(managed())).await {
            Ok(Ok(token)) => return Ok(token),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        let cli = AzureCliCredential::new(None).map(|c| c as Arc<dyn TokenCredential>);
        self.token(cli).await.map_err(|error| {
            format!(
                "no Azure identity works. Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, run where a \
                 managed or workload identity is, or log in with `az login`. Azure CLI: {error}. The machine's \
                 identity: {machine}"
            )
        })
    }
}

impl Obtain for Entra {
    fn name(&self) -> &str {
        "entra"
    }

    // Credentials are made anew for each token, so that their own caches, which keep a token until shortly before
    // its end, do not undo the early renewal.
    async fn obtain(&self, _refused: bool) -> Result<Obtained, Fault> {
        crate::tls_provider();
        let token = self.any().await.map_err(|error| fault(&error))?;
        let expires_at = Timestamp::from_second(token.expires_on.unix_timestamp()).ok();
        Ok(Obtained {
            secret: Secret::Token { value: token.token.secret().into(), expires_at },
            look_again: None,
            keep_for: None,
        })
    }
}

fn client_secret(secret: String) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let tenant = variable("AZURE_TENANT_ID").unwrap_or_default();
    let client = variable("AZURE_CLIENT_ID").unwrap_or_default();
    let options = ClientSecretCredentialOptions { client_options: once() };
    ClientSecretCredential::new(&tenant, client, AzureSecret::new(secret), Some(options))
        .map(|credential| credential as Arc<dyn TokenCredential>)
}

/// The managed identity; a user-assigned one where `AZURE_CLIENT_ID` names it.
fn managed() -> azure_core::Result<Arc<dyn TokenCredential>> {
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: variable("AZURE_CLIENT_ID").map(UserAssignedId::ClientId),
        client_options: once(),
    };
    ManagedIdentityCredential::new(Some(options)).map(|credential| credential as Arc<dyn TokenCredential>)
}

fn workload() -> WorkloadIdentityCredentialOptions {
    WorkloadIdentityCredentialOptions {
        credential_options: ClientAssertionCredentialOptions { client_options: once() },
        ..WorkloadIdentityCredentialOptions::default()
    }
}

/// One try: waits between tries are ours, and an error that is told late says nothing.
fn once() -> ClientOptions {
    ClientOptions { retry: RetryOptions::none(), ..ClientOptions::default() }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
