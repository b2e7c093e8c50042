"""Errors as the SDK's classes: who is wrong, what a client can tell from it, what must not leak."""

from __future__ import annotations

import json

import httpx
import openai
import pytest
from conftest import API_KEY, BASE_URL, Target, chosen_targets, user
from simulator import Simulator, directed

HELLO = [user("hello")]
# An alias that the gateway places by itself.
MODEL = "gpt-5.4"


def with_key(key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=BASE_URL, api_key=key, max_retries=0, timeout=8.0)


def post(body: bytes, key: str | None = API_KEY, **headers: str) -> httpx.Response:
    """A request that no SDK would send."""
    named = {"content-type": "application/json", **headers}
    if key is not None:
        named["authorization"] = f"Bearer {key}"
    return httpx.post(f"{BASE_URL}/chat/completions", content=body, headers=named, timeout=8.0, trust_env=False)


def test_wrong_key(target: Target) -> None:
    with pytest.raises(openai.AuthenticationError) as raised:
        with_key("sk-nobody").chat.completions.create(model=target.model, messages=HELLO)
    assert raised.value.status_code == 401 and raised.value.code == "invalid_api_key"
    assert raised.value.response.headers.get("x-request-id")


def test_no_key_and_wrong_key_look_the_same() -> None:
    body = json.dumps({"model": MODEL, "messages": HELLO}).encode()
    none, wrong = post(body, key=None), post(body, key="sk-nobody")
    assert none.status_code == wrong.status_code == 401
    assert none.json() == wrong.json()


def test_unknown_model(client: openai.OpenAI, target: Target) -> None:
    """Names the near ones."""
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model=f"{target.alias}x", messages=HELLO)
    assert raised.value.code == "model_not_found"
    assert target.alias in raised.value.message


def test_unknown_deployment_is_not_placed_elsewhere(client: openai.OpenAI, target: Target) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model=f"{target.alias}@no-such-place", messages=HELLO)
    assert raised.value.status_code in (400, 404)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "no id"}]}, "tool"),
        ({"messages": [{"role": "captain", "content": "hello"}]}, "role"),
    ],
    ids=["no-messages", "messages-text", "messages-empty", "tool-without-id", "role"],
)
def test_malformed(client: openai.OpenAI, target: Target, nonce: str, wrong: dict, said: str, simulator: Simulator) -> None:
    """400 that names the field: said by us, or by a cloud of the same dialect."""
    body = {"model": target.model, "user": nonce, **wrong}
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/chat/completions", body={k: v for k, v in body.items() if v is not None}, cast_to=object)
    assert said in f"{raised.value.message} {raised.value.param}"
    assert raised.value.type == "invalid_request_error"
    assert all(record["status"] == 400 for record in simulator.exchanges(nonce))


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "gpt-5.4", "messages": [',
        b'{"model": "gpt-5.4", "model": "claude-opus-5-5", "messages": [{"role": "user", "content": "hello"}]}',
        b'{"model": "gpt-5.4", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"model": "gpt-5.4", "messages": [{"role": "user", "content": "hello"}], "metadata": ' + b"[" * 200 + b"]" * 200 + b"}",
        b"[]",
        b"",
    ],
    ids=["cut", "duplicate-key", "not-utf-8", "too-deep", "not-an-object", "empty"],
)
def test_not_json(body: bytes) -> None:
    answer = post(body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["code"] in ("invalid_json", "invalid_request") and error["type"] == "invalid_request_error" and error["message"]


def test_refused_by_terms() -> None:
    """The EU workload is not sent to the US, not even when it asks for that place."""
    with pytest.raises(openai.PermissionDeniedError) as raised:
        with_key("sk-demo-eu").chat.completions.create(model="gpt-5.4@gpt-5.4/bedrock-us-east-2", messages=HELLO)
    assert raised.value.status_code == 403 and raised.value.code == "placement_refused"
    assert "eu-residency" in raised.value.message + json.dumps(raised.value.body)


def test_permitted_workload_is_served() -> None:
    """The control of the case above: the same key works where it may."""
    reply = with_key("sk-demo-eu").chat.completions.create(model=MODEL, messages=HELLO)
    assert (reply.choices[0].message.content or "").endswith("You said: hello")


def test_unknown_route(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.post("/no/such/route", body={}, cast_to=object)
    assert raised.value.code == "route_not_found"


def test_models_are_listed(client: openai.OpenAI) -> None:
    listed = {model.id for model in client.models.list()}
    assert {target.alias for target in chosen_targets()} <= listed


def test_login_page_is_no_answer(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """HTML under status 200 is a 502 of ours, and is not relayed."""
    page = directed(fault={"kind": "page"})
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model=target.model, messages=[user(f"{nonce} {page}")])
    assert raised.value.status_code == 502 and raised.value.code
    assert "Sign in" not in raised.value.response.text


def test_the_upstreams_refusal_of_our_key_is_not_the_callers(client: openai.OpenAI, target: Target, nonce: str) -> None:
    denied = directed(fault={"kind": "status", "status": 401})
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model=target.model, messages=[user(f"{nonce} {denied}")])
    assert raised.value.status_code in (502, 503)
    assert raised.value.code != "invalid_api_key"
