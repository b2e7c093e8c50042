//! Azure OpenAI and Microsoft Foundry: the v1 API, the older dated deployment URLs, and Claude in Foundry.

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

use crate::{
    endpoint::Endpoint,
    fault::{self, Answer},
    provider::{Descriptor, FieldUse, Provider},
    written::{AuthMethod, FieldError, Written},
};
use domain::{Dialect, Fault};

/// Azure OpenAI and Microsoft Foundry.
#[derive(Debug)]
pub struct Azure;

static DESCRIPTOR: Descriptor = Descriptor {
    id: "azure",
    name: "Azure OpenAI / Microsoft Foundry",
    clouds: &["azure"],
    dialects: &[Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::AnthropicMessages],
    auths: &[AuthMethod::Key, AuthMethod::Entra, AuthMethod::Bearer],
    env_keys: &["AZURE_OPENAI_API_KEY"],
    base_url: "https://{resource}.openai.azure.com",
    fields: &[
        FieldUse {
            name: "resource",
            required: true,
            says: "the resource's name, the first part of its host; or write `endpoint`",
        },
        FieldUse {
            name: "deployment",
            required: false,
            says: "the deployment's name, which Azure calls the model; without it, `model`",
        },
        FieldUse {
            name: "api_version",
            required: false,
            says: "a dated version calls the older deployment URLs; without it, the v1 API",
        },
        FieldUse {
            name: "region",
            required: false,
            says: "where the resource stands, for placement and records",
        },
    ],
    regions: &[
        "eastus",
        "eastus2",
        "westus",
        "westus3",
        "northcentralus",
        "southcentralus",
        "westeurope",
        "northeurope",
        "swedencentral",
        "francecentral",
        "germanywestcentral",
        "switzerlandnorth",
        "uksouth",
        "japaneast",
        "australiaeast",
        "southindia",
    ],
    bills_cancelled: false,
    fingerprint: response::FINGERPRINT,
    recordings: &["azure-openai"],
    docs: "https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle",
};

impl Provider for Azure {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn check(&'static self, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
        config::check(self, written)
    }

    fn fault(&self, endpoint: &Endpoint, answer: &Answer<'_>) -> Fault {
        fault::classify(endpoint, answer, response::kind(answer))
    }
}
