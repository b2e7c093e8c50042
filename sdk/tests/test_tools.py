"""Tool calls: there and back, in parallel, streamed, chosen, parsed."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from conftest import Target, user
from pydantic import BaseModel


def function(name: str, field: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field], "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": f"Tells the {name}", "parameters": parameters}}


WEATHER = function("get_weather", "city")
TIDE = function("get_tide", "city")
TOOLS = [WEATHER, TIDE]


def result(call: Any, text: str) -> dict[str, str]:
    return {"role": "tool", "tool_call_id": call.id, "content": text}


def test_there_and_back(client: openai.OpenAI, target: Target, nonce: str) -> None:
    messages: list[Any] = [user("call get_weather for the city at Genoa")]
    first = client.chat.completions.create(model=target.model, messages=messages, tools=TOOLS).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls or []
    assert call.type == "function" and call.id and call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Genoa"}
    messages += [first.message, result(call, f"sunny {nonce}")]
    second = client.chat.completions.create(model=target.model, messages=messages, tools=TOOLS).choices[0]
    assert second.finish_reason == "stop" and not second.message.tool_calls
    assert f"get_weather said sunny {nonce}" in (second.message.content or "")


def test_parallel(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """Two calls in one turn, ids of their own; each result finds its call."""
    messages: list[Any] = [user("call get_weather and get_tide in Genoa and Valletta")]
    first = client.chat.completions.create(model=target.model, messages=messages, tools=TOOLS).choices[0]
    calls = first.message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather", "get_tide"]
    assert len({call.id for call in calls}) == 2
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Genoa", "Valletta"]
    messages += [first.message, *(result(call, f"{nonce}-{call.function.name}") for call in calls)]
    text = client.chat.completions.create(model=target.model, messages=messages, tools=TOOLS).choices[0].message.content or ""
    for name in ("get_weather", "get_tide"):
        assert f"{name} said {nonce}-{name}" in text, text


def test_parallel_streamed(client: openai.OpenAI, target: Target) -> None:
    """Each call opens once with id and name, its arguments follow under its index."""
    stream = client.chat.completions.create(
        model=target.model, messages=[user("call get_weather and get_tide in Genoa and Valletta")], tools=TOOLS, stream=True
    )
    calls: dict[int, dict[str, str]] = {}
    finishes = []
    for chunk in stream:
        for choice in chunk.choices:
            if choice.finish_reason:
                finishes.append(choice.finish_reason)
            for piece in choice.delta.tool_calls or []:
                if piece.index not in calls:
                    assert piece.id and piece.type == "function" and piece.function and piece.function.name
                    calls[piece.index] = {"id": piece.id, "name": piece.function.name, "arguments": ""}
                else:
                    assert piece.id in (None, calls[piece.index]["id"])
                calls[piece.index]["arguments"] += (piece.function.arguments if piece.function else None) or ""
    assert finishes == ["tool_calls"]
    assert sorted(calls) == [0, 1] and calls[0]["id"] != calls[1]["id"]
    assert [calls[index]["name"] for index in (0, 1)] == ["get_weather", "get_tide"]
    assert [json.loads(calls[index]["arguments"]) for index in (0, 1)] == [{"city": "Genoa"}, {"city": "Valletta"}]


def test_one_at_a_time(client: openai.OpenAI, target: Target) -> None:
    """`parallel_tool_calls: false` holds, or its loss is reported."""
    raw = client.chat.completions.with_raw_response.create(
        model=target.model,
        messages=[user("call get_weather and get_tide in Genoa")],
        tools=TOOLS,
        parallel_tool_calls=False,
    )
    calls = raw.parse().choices[0].message.tool_calls or []
    assert calls, "no call at all"
    if len(calls) > 1:
        assert "parallel" in raw.headers.get("x-cabotage-translation-loss", ""), f"{len(calls)} calls, and no loss reported"


def test_forced(client: openai.OpenAI, target: Target) -> None:
    """A named tool is called though the prompt does not ask for it; where the model cannot be forced, that is told."""
    raw = client.chat.completions.with_raw_response.create(
        model=target.model,
        messages=[user("hello")],
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "get_tide"}},
    )
    choice = raw.parse().choices[0]
    if not target.forced:
        assert "tool_choice" in raw.headers["x-cabotage-translation-loss"]
        return
    assert [call.function.name for call in choice.message.tool_calls or []] == ["get_tide"]
    assert isinstance(json.loads(choice.message.tool_calls[0].function.arguments)["city"], str)


@pytest.mark.parametrize(("choice", "prompt", "called"), [("required", "hello", True), ("none", "call get_weather in Genoa", False)])
def test_choice(client: openai.OpenAI, target: Target, choice: Any, prompt: str, called: bool) -> None:
    raw = client.chat.completions.with_raw_response.create(model=target.model, messages=[user(prompt)], tools=TOOLS, tool_choice=choice)
    reply = raw.parse().choices[0]
    if called and not target.forced:
        assert "tool_choice" in raw.headers["x-cabotage-translation-loss"]
        return
    assert bool(reply.message.tool_calls) is called
    assert reply.finish_reason == ("tool_calls" if called else "stop")


class GetTide(BaseModel):
    """Tells the tide"""

    city: str
    hours: int


def test_parsed_arguments(client: openai.OpenAI, target: Target) -> None:
    """A strict tool made from a pydantic model comes back as that model."""
    reply = client.chat.completions.parse(
        model=target.model, messages=[user("call GetTide in Genoa for 6 hours")], tools=[openai.pydantic_function_tool(GetTide)]
    )
    (call,) = reply.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == GetTide(city="Genoa", hours=6)
