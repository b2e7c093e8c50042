"""Chat without streams: answers, usage, roles, images, structured output, parameters."""

from __future__ import annotations

import asyncio
import base64
import struct
import zlib
from enum import Enum

import openai
import pytest
from conftest import Target, user
from pydantic import BaseModel
from simulator import Simulator, directed


def test_chat(client: openai.OpenAI, target: Target, nonce: str) -> None:
    reply = client.chat.completions.create(model=target.model, messages=[user(f"say {nonce}")])
    (choice,) = reply.choices
    assert choice.message.role == "assistant"
    assert (choice.message.content or "").endswith(f"1 messages, 0 images. You said: say {nonce}")
    assert choice.finish_reason == "stop" and choice.index == 0
    assert not choice.message.tool_calls
    assert reply.object == "chat.completion" and reply.id and reply.model and reply.created > 1_700_000_000


async def test_chat_async(async_client: openai.AsyncOpenAI, target: Target, nonce: str) -> None:
    """Calls at the same time get their own answers."""
    words = [f"{nonce}{letter}" for letter in "abcd"]
    calls = [async_client.chat.completions.create(model=target.model, messages=[user(f"say {word}")]) for word in words]
    replies = await asyncio.gather(*calls)
    assert [reply.choices[0].message.content.rsplit(" ", 1)[-1] for reply in replies] == words
    assert len({reply.id for reply in replies}) == len(words)


def test_the_pinned_cloud_serves(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    client.chat.completions.create(model=target.model, messages=[user(f"say {nonce}")])
    seen = simulator.the_exchange(nonce)
    assert seen["cloud"] == target.cloud
    assert seen["status"] == 200 and seen["complete"]


def test_headers(client: openai.OpenAI, target: Target, nonce: str) -> None:
    calls = [client.chat.completions.with_raw_response.create(model=target.model, messages=[user(f"say {nonce}")]) for _ in range(2)]
    for name in ("x-cabotage-call-id", "x-request-id"):
        first, second = (call.headers.get(name) for call in calls)
        assert first and second and first != second, f"{name}: {first!r}, {second!r}"
    for call in calls:
        assert call.headers["content-type"].startswith("application/json")
        assert call.headers.get("x-cabotage-deployment", target.deployment) == target.deployment
        assert call.parse()._request_id == call.headers["x-request-id"]


def test_usage(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    """What the client is told is what the cloud reported, in OpenAI's meaning of it. The long system prompt brings caches into play."""
    system = f"{nonce} " + "harbour " * 1100
    messages = [{"role": "system", "content": system}, user(f"say {nonce}")]
    first = client.chat.completions.create(model=target.model, messages=messages).usage
    assert first is not None
    assert first.total_tokens == first.prompt_tokens + first.completion_tokens
    assert first.prompt_tokens > 1100 and first.completion_tokens > 5
    reported = simulator.the_exchange(nonce)["usage"]
    assert (first.prompt_tokens, first.completion_tokens) == (reported["input"], reported["output"])
    second = client.chat.completions.create(model=target.model, messages=messages).usage
    records = sorted(simulator.exchanges(nonce), key=lambda record: record["seq"])
    assert len(records) == 2 and second is not None
    reported = records[-1]["usage"]
    cached = (second.prompt_tokens_details.cached_tokens if second.prompt_tokens_details else 0) or 0
    assert (second.prompt_tokens, cached) == (reported["input"], reported["cached"])


def test_reasoning(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    """The effort reaches the model; its thoughts are counted in the completion and do not show in the text."""
    reply = client.chat.completions.create(model=target.model, messages=[user(f"say {nonce}")], reasoning_effort="high")
    assert nonce in (reply.choices[0].message.content or "")
    assert "Weighing" not in (reply.choices[0].message.content or "")
    reported = simulator.the_exchange(nonce)["usage"]
    assert reported["reasoning"] > 0, "the cloud was not asked to reason"
    assert reply.usage is not None and reply.usage.completion_tokens == reported["output"]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions(client: openai.OpenAI, target: Target, nonce: str, role: str, simulator: Simulator) -> None:
    """An instruction reaches the cloud, as instruction and not as a turn of the talk."""
    messages = [{"role": role, "content": f"instruction {nonce}"}, user("say hello")]
    reply = client.chat.completions.create(model=target.model, messages=messages)
    assert "1 messages" in (reply.choices[0].message.content or "")
    assert f"instruction {nonce}" in simulator.the_exchange(nonce)["body"]


def test_history(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    """Turns arrive all, and in their order."""
    messages = [
        user(f"{nonce} one"),
        {"role": "assistant", "content": f"{nonce} two"},
        {"role": "user", "content": [{"type": "text", "text": f"{nonce} three"}, {"type": "text", "text": f"{nonce} four"}]},
    ]
    reply = client.chat.completions.create(model=target.model, messages=messages)
    assert "3 messages" in (reply.choices[0].message.content or "")
    body = simulator.the_exchange(nonce)["body"]
    places = [body.index(f"{nonce} {word}") for word in ("one", "two", "three", "four")]
    assert places == sorted(places)


def png(red: int, green: int, blue: int) -> str:
    """A data URL of one pixel in one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    header = struct.pack("!IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(bytes([0, red, green, blue]))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def test_vision(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    images = [png(200, 30, 30), png(30, 30, 200)]
    parts = [{"type": "text", "text": f"say {nonce}"}, *({"type": "image_url", "image_url": {"url": url}} for url in images)]
    reply = client.chat.completions.create(model=target.model, messages=[{"role": "user", "content": parts}])
    assert "1 messages, 2 images" in (reply.choices[0].message.content or "")
    body = simulator.the_exchange(nonce)["body"]
    places = [body.index(url.split(",", 1)[1]) for url in images]
    assert places == sorted(places)


class Flag(str, Enum):
    italy = "IT"
    malta = "MT"


class Berth(BaseModel):
    number: int
    depth_m: float


class Harbour(BaseModel):
    name: str
    flag: Flag
    berths: list[Berth]
    note: str | None


def test_parse(client: openai.OpenAI, target: Target) -> None:
    """Structured output by a pydantic model: content that fits the schema, not a tool call; or a clear refusal."""
    if not target.schema:
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.parse(model=target.model, messages=[user("hello")], response_format=Harbour)
        assert raised.value.code == "unsupported_parameter"
        return
    reply = client.chat.completions.parse(
        model=target.model, messages=[user('describe the harbour "Valletta" with 3 berths')], response_format=Harbour
    )
    message = reply.choices[0].message
    assert isinstance(message.parsed, Harbour), message.content
    assert message.parsed.name == "Valletta", message.content
    assert reply.choices[0].finish_reason == "stop" and not message.tool_calls


def test_max_tokens(client: openai.OpenAI, target: Target) -> None:
    limit = target.least_tokens
    words = [f"w{number}" for number in range(limit + 2)]
    reply = client.chat.completions.create(
        model=target.model, messages=[user(directed(say=" ".join(words)))], max_completion_tokens=limit, **target.quiet
    )
    assert reply.choices[0].finish_reason == "length"
    assert reply.choices[0].message.content == " ".join(words[:limit])
    assert reply.usage is not None and reply.usage.completion_tokens == limit


@pytest.mark.parametrize("form", ["text", "list"])
def test_stop(client: openai.OpenAI, target: Target, nonce: str, form: str) -> None:
    stop = nonce if form == "text" else ["never said", nonce]
    raw = client.chat.completions.with_raw_response.create(
        model=target.model, messages=[user(directed(say=f"one two {nonce} three"))], stop=stop
    )
    reply = raw.parse()
    losses = raw.headers.get("x-cabotage-translation-loss", "").split(", ")
    assert ("stop" in losses) != target.stops
    if not target.stops:
        return
    assert (reply.choices[0].message.content or "").strip() == "one two"
    assert reply.choices[0].finish_reason == "stop"


def test_candidates(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    """Two candidates, or a clear refusal before anything is sent; never one in silence."""
    if target.candidates:
        reply = client.chat.completions.create(model=target.model, messages=[user(f"say {nonce}")], n=2)
        assert [choice.index for choice in reply.choices] == [0, 1]
        texts = [choice.message.content or "" for choice in reply.choices]
        assert all(nonce in text for text in texts) and texts[0] != texts[1]
        return
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=target.model, messages=[user(f"say {nonce}")], n=2)
    assert raised.value.code == "unsupported_parameter"
    assert raised.value.param == "n"
    assert simulator.exchanges(nonce) == []
