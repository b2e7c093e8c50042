#!/usr/bin/env python3
"""Signature Version 4 as botocore computes it, for requests to Bedrock: the vectors of the signing test.

    sigv4_vectors.py OUT_JSON

botocore's serialiser makes path, headers and body of each request from the service's own model (model ids with ':' and '/', ARNs of
inference profiles), botocore's `SigV4Auth` signs it at a fixed time. Nothing is computed here. The credentials are AWS's documentation
examples. The output is deterministic for one version of botocore and is checked in as crates/providers/tests/data/sigv4_botocore.json.

What the vectors fix, beside the key derivation: a model id is one path segment, percent-encoded with `-._~` left as they are, and the
canonical path encodes that once more (`:` is `%3A` on the wire and `%253A` in the canonical request); the service name in the scope is
`bedrock`, not the host's `bedrock-runtime`; `content-type` is signed, `user-agent` and `x-amzn-trace-id` are not; the session token
is signed as a header; there is no x-amz-content-sha256.
"""

from __future__ import annotations

import base64
import datetime
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import botocore
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.credentials import Credentials
from botocore.serialize import create_serializer

ACCESS_KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
# With the characters of base64 that differ in URL encodings.
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMiJHMEUCIQD+/=="
SERVICE = "bedrock"
NOW = datetime.datetime(2026, 11, 21, 10, 59, 7, tzinfo=datetime.timezone.utc)
# The day of the scope changes at midnight UTC.
MIDNIGHT = datetime.datetime(2026, 12, 1, 0, 0, 0, tzinfo=datetime.timezone.utc)

ANTHROPIC = "anthropic.claude-3-5-sonnet-20240620-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
GEO_PROFILE = "eu.anthropic.claude-opus-5-5-v1:0"
GLOBAL_PROFILE = "global.openai.gpt-6.1-sol"
PLAIN = "us.openai.gpt-5.4"
PROFILE_ARN = "arn:aws:bedrock:us-east-2:123456789012:inference-profile/us.anthropic.claude-opus-5-5-v1:0"
APPLICATION_ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123def456"
GOV_ARN = "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us-gov.openai.gpt-5.4"
PROVISIONED_ARN = "arn:aws:bedrock:us-east-2:123456789012:provisioned-model/q1w2e3r4t5y6"

HELLO = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
UGLY = {
    "system": [{"text": "Sei knapp: “äöü” — 😀"}],
    "messages": [{"role": "user", "content": [{"text": 'a "quoted"\nline\\with / + % ? # & = and \u2028'}]}],
    "inferenceConfig": {"maxTokens": 16, "temperature": 0.5, "stopSequences": ["\n\n"]},
}
INVOKE_BODY = b'{"anthropic_version":"bedrock-2023-05-31","max_tokens":16,"messages":[{"role":"user","content":"hi"}]}'


@dataclass
class Case:
    """One request to sign."""

    name: str
    operation: str
    model: str
    region: str
    params: dict[str, Any] = field(default_factory=lambda: dict(HELLO))
    token: str | None = None
    at: datetime.datetime = NOW
    # Headers that a caller adds before signing.
    headers: dict[str, str] = field(default_factory=dict)
    endpoint: str | None = None


def cases() -> list[Case]:
    """The operations × the kinds of model id × regions × with and without session token, then the odd ones."""
    models = [
        ("model-id-with-colon", ANTHROPIC, "us-east-2"),
        ("open-weights-id", GPT_OSS, "us-east-2"),
        ("plain-id", PLAIN, "us-east-2"),
        ("geo-profile", GEO_PROFILE, "eu-central-1"),
        ("global-profile", GLOBAL_PROFILE, "eu-central-1"),
        ("profile-arn", PROFILE_ARN, "us-east-2"),
        ("application-profile-arn", APPLICATION_ARN, "eu-central-1"),
        ("gov-profile-arn", GOV_ARN, "us-gov-west-1"),
        ("provisioned-arn", PROVISIONED_ARN, "us-east-2"),
    ]
    invoke = {"body": INVOKE_BODY, "contentType": "application/json", "accept": "application/json"}
    operations = [
        ("converse", "Converse", HELLO),
        ("converse-stream", "ConverseStream", HELLO),
        ("invoke", "InvokeModel", invoke),
        ("invoke-stream", "InvokeModelWithResponseStream", invoke),
    ]
    table = [
        Case(f"{short} {name}{' with token' if token else ''}", operation, model, region, dict(params), token)
        for short, operation, params in operations
        for name, model, region in models
        for token in (None, TOKEN)
    ]
    table += [
        Case("converse body with escapes", "Converse", ANTHROPIC, "us-east-2", UGLY),
        Case("invoke body with UTF-8", "InvokeModel", ANTHROPIC, "us-east-2", {"body": json.dumps(UGLY, ensure_ascii=False).encode()}),
        Case("converse at the turn of the day", "Converse", ANTHROPIC, "us-east-2", at=MIDNIGHT),
        Case("converse one second before the turn of the day", "Converse", ANTHROPIC, "us-east-2", at=MIDNIGHT - datetime.timedelta(seconds=1)),
        Case("invoke with an empty body", "InvokeModel", ANTHROPIC, "us-east-2", {"body": b"", "contentType": "application/json"}),
        Case(
            "invoke with bytes that are not UTF-8",
            "InvokeModel",
            ANTHROPIC,
            "us-east-2",
            {"body": bytes(range(256)), "contentType": "application/octet-stream"},
        ),
        Case(
            "invoke with service tier and latency headers",
            "InvokeModel",
            ANTHROPIC,
            "us-east-2",
            {**invoke, "performanceConfigLatency": "optimized", "serviceTier": "priority", "trace": "ENABLED"},
        ),
        Case(
            "converse, headers that are not signed",
            "Converse",
            PLAIN,
            "us-east-2",
            headers={"User-Agent": "cabotage", "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678"},
        ),
        Case("converse, header value with runs of blanks", "Converse", PLAIN, "us-east-2", headers={"X-Amz-Meta-Note": "  two  blanks   here "}),
        Case("converse by the FIPS host", "Converse", GOV_ARN, "us-gov-west-1", endpoint="https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com"),
        Case(
            "converse by a host with a port",
            "Converse",
            ANTHROPIC,
            "us-east-2",
            endpoint="https://vpce-0a1b2c3d.bedrock-runtime.us-east-2.vpce.amazonaws.com:8443",
        ),
        Case("converse over plain HTTP on loopback", "Converse", ANTHROPIC, "us-east-2", endpoint="http://127.0.0.1:4566"),
    ]
    return table


class Witness(SigV4Auth):
    """botocore's signer, which remembers what it signed."""

    signed_canonical = ""
    signed_string = ""

    def string_to_sign(self, request: Any, canonical_request: str) -> str:
        self.signed_canonical = canonical_request
        self.signed_string = super().string_to_sign(request, canonical_request)
        return self.signed_string


def vector(session: botocore.session.Session, case: Case) -> dict[str, Any]:
    """The request of a case as botocore builds it, and botocore's signature of it."""
    service = session.get_service_model("bedrock-runtime")
    operation = service.operation_model(case.operation)
    endpoint = case.endpoint or f"https://bedrock-runtime.{case.region}.amazonaws.com"
    serializer = create_serializer(service.metadata["protocol"], include_validation=True)
    wire = serializer.serialize_to_request({"modelId": case.model, **case.params}, operation)
    wire["headers"].update(case.headers)
    prepare_request_dict(wire, endpoint_url=endpoint, context={})
    request = create_request_object(wire)
    before = {name: value for name, value in request.headers.items()}
    auth = Witness(Credentials(ACCESS_KEY, SECRET, case.token), SERVICE, case.region)
    with mock.patch("botocore.auth.get_current_datetime", return_value=case.at):
        auth.add_auth(request)
    body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
    return {
        "name": case.name,
        "operation": case.operation,
        "model": case.model,
        "method": request.method,
        "url": request.url,
        "headers": before,
        "body_base64": base64.b64encode(body).decode(),
        "access_key": ACCESS_KEY,
        "secret_key": SECRET,
        "session_token": case.token,
        "region": case.region,
        "service": SERVICE,
        "timestamp": case.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "canonical_request": auth.signed_canonical,
        "string_to_sign": auth.signed_string,
        "x_amz_date": request.headers["X-Amz-Date"],
        "authorization": request.headers["Authorization"],
    }


def main(out: Path) -> int:
    session = botocore.session.Session()
    vectors = [vector(session, case) for case in cases()]
    names = [v["name"] for v in vectors]
    assert len(set(names)) == len(names), "two cases of one name"
    # The default endpoints are written out above; hold them against what botocore's own rules resolve.
    for region in sorted({v["region"] for v in vectors}):
        client = session.create_client("bedrock-runtime", region_name=region, aws_access_key_id="none", aws_secret_access_key="none")
        assert client.meta.endpoint_url == f"https://bedrock-runtime.{region}.amazonaws.com", client.meta.endpoint_url
        assert client.meta.service_model.signing_name == SERVICE
    document = {
        "generated_by": "sdk/sigv4_vectors.py",
        "botocore": botocore.__version__,
        "vectors": vectors,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(vectors)} vectors by botocore {botocore.__version__} in {out}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: sigv4_vectors.py OUT_JSON")
    sys.exit(main(Path(sys.argv[1])))
