"""Streams: their order, their ends, their usage; what happens when either side breaks one off."""

from __future__ import annotations

import asyncio
import contextlib
import time

import openai
import pytest
from conftest import Target, user
from simulator import Simulator, directed

# How soon an upstream must be left once the client has gone, ms.
LEFT_MS_MAX = 500


def test_stream(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """One opening, deltas as they come, one finish, nothing after it; one id and one model for all."""
    chunks = list(client.chat.completions.create(model=target.model, messages=[user(f"say {nonce}")], stream=True))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    texts = [choice.delta.content for choice in choices if choice.delta.content]
    assert "".join(texts).endswith(f"You said: say {nonce}") and len(texts) > 3
    assert [choice.delta.role for choice in choices if choice.delta.role] == ["assistant"]
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert choices[-1].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks if chunk.choices}) == 1 and chunks[-1].id
    assert len({chunk.model for chunk in chunks if chunk.choices}) == 1
    assert all(chunk.usage is None for chunk in chunks), "usage that was not asked for"


async def test_stream_async(async_client: openai.AsyncOpenAI, target: Target, nonce: str) -> None:
    """The SDK's own accumulation of the stream is the answer."""
    async with async_client.chat.completions.stream(model=target.model, messages=[user(f"say {nonce}")]) as stream:
        deltas = [event.delta async for event in stream if event.type == "content.delta"]
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == "".join(deltas)
    assert (final.choices[0].message.content or "").endswith(f"You said: say {nonce}")
    assert final.choices[0].finish_reason == "stop"


def test_stream_with_usage(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """Usage comes once, in a last chunk without choices, and is that of the whole answer."""
    messages = [user(f"say {nonce}")]
    chunks = list(
        client.chat.completions.create(model=target.model, messages=messages, stream=True, stream_options={"include_usage": True})
    )
    assert [index for index, chunk in enumerate(chunks) if chunk.usage] == [len(chunks) - 1]
    assert chunks[-1].choices == []
    assert "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices).endswith(nonce)
    streamed = chunks[-1].usage
    whole = client.chat.completions.create(model=target.model, messages=messages).usage
    assert streamed is not None and whole is not None
    assert (streamed.prompt_tokens, streamed.completion_tokens) == (whole.prompt_tokens, whole.completion_tokens)
    assert streamed.total_tokens == streamed.prompt_tokens + streamed.completion_tokens > 0


def test_deltas_come_as_they_are_made(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """Eight deltas 40 ms apart are not held back to the end."""
    stream = client.chat.completions.create(
        model=target.model, messages=[user(f"{nonce} {directed(deltas=8, pace_ms=40)}")], stream=True
    )
    arrived = [time.monotonic() for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    assert len(arrived) == 8
    assert arrived[-1] - arrived[0] > 0.2


def assert_left(simulator: Simulator, target: Target, nonce: str, closed_at_ms: float) -> None:
    """The upstream of this call saw its client leave, in time, with the answer unfinished."""
    seen = simulator.the_exchange(nonce)
    assert seen["cloud"] == target.cloud
    assert seen["client_disconnected"] and not seen["complete"]
    assert seen["disconnected_at"] - closed_at_ms < LEFT_MS_MAX


def test_cancel_while_it_flows(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    stream = client.chat.completions.create(
        model=target.model, messages=[user(f"{nonce} {directed(deltas=400, pace_ms=20)}")], stream=True
    )
    with contextlib.closing(stream):
        seen = 0
        for chunk in stream:
            seen += bool(chunk.choices and chunk.choices[0].delta.content)
            if seen == 3:
                break
    closed_at_ms = time.time() * 1000
    assert seen == 3
    assert_left(simulator, target, nonce, closed_at_ms)
    assert 3 <= simulator.exchanges(nonce)[0]["deltas_sent"] < 100


async def test_cancel_while_it_is_silent(
    async_client: openai.AsyncOpenAI, target: Target, nonce: str, simulator: Simulator
) -> None:
    """The upstream sends nothing more, so no write of ours can tell it; the task that reads is cancelled."""
    silent = directed(deltas=6, fault={"kind": "stall", "after_deltas": 2})
    started = asyncio.Event()

    async def read() -> None:
        stream = await async_client.chat.completions.create(
            model=target.model, messages=[user(f"{nonce} {silent}")], stream=True, **target.quiet
        )
        async with stream:
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    started.set()

    reader = asyncio.create_task(read())
    await asyncio.wait_for(started.wait(), 5)
    await asyncio.sleep(0.05)
    reader.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reader
    closed_at_ms = time.time() * 1000
    await asyncio.to_thread(assert_left, simulator, target, nonce, closed_at_ms)


@pytest.mark.parametrize("fault", ["error_mid_stream", "end_without_terminal"])
def test_a_broken_stream_is_an_error(client: openai.OpenAI, target: Target, nonce: str, fault: str) -> None:
    """What came stays; then an error, and no finish that would make half an answer look whole."""
    broken = directed(deltas=6, fault={"kind": fault, "after_deltas": 3})
    text, finishes = "", []
    with pytest.raises(openai.APIError) as raised:
        stream = client.chat.completions.create(
            model=target.model, messages=[user(f"{nonce} {broken}")], stream=True, **target.quiet
        )
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finishes += [choice.finish_reason] if choice.finish_reason else []
    assert text.split() == ["w1", "w2", "w3"]
    assert finishes == []
    assert raised.value.message
    # The deployment works again, for this caller at once.
    assert client.chat.completions.create(model=target.model, messages=[user(f"say {nonce}")]).choices[0].finish_reason == "stop"
