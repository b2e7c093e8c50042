//! Amazon Bedrock's runtime: Converse and ConverseStream for every family, the OpenAI-style path for OpenAI's
//! models; signed with AWS keys or with a bearer key; in-region ids, geo and global inference profiles, ARNs.

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
use domain::{Dialect, Fault, RetryClass};

/// Amazon Bedrock's runtime.
#[derive(Debug)]
pub struct Bedrock;

static DESCRIPTOR: Descriptor = Descriptor {
    id: "bedrock",
    name: "Amazon Bedrock",
    clouds: &["aws"],
    dialects: &[Dialect::BedrockConverse, Dialect::OpenAiChat, Dialect::OpenAiResponses],
    auths: &[AuthMethod::Sigv4, AuthMethod::Bearer],
    env_keys: &["AWS_BEARER_TOKEN_BEDROCK"],
    base_url: "https://bedrock-runtime.{region}.amazonaws.com",
    fields: &[
        FieldUse { name: "region", required: true, says: "the AWS region that is called" },
        FieldUse {
            name: "profile",
            required: false,
            says: "an inference profile: us, eu, jp, au, apac, in, us-gov or global; put before the model's id",
        },
    ],
    regions: &[
        "us-east-1",
        "us-east-2",
        "us-west-2",
        "ca-central-1",
        "eu-central-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eu-north-1",
        "ap-northeast-1",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "sa-east-1",
        "us-gov-west-1",
        "us-gov-east-1",
    ],
    bills_cancelled: true,
    fingerprint: response::FINGERPRINT,
    recordings: &["bedrock"],
    docs: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
};

impl Provider for Bedrock {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn check(&'static self, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
        config::check(self, written)
    }

    fn fault(&self, endpoint: &Endpoint, answer: &Answer<'_>) -> Fault {
        let mut fault = fault::classify(endpoint, answer, response::kind(answer));
        // Expired or skewed keys are told with 403 here, where others say 401.
        if response::keys_expired(answer) && endpoint.secret_renews() {
            fault.retry = RetryClass::SameAgain;
        }
        fault
    }
}
