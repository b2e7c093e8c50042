"""The cases of the public Open Responses compliance suite (spec 2026-04-24), in our own words and without its client: what it
sends, what it wants back, and the whole form of the object. Its WebSocket cases are not here: this gateway has no WebSocket.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import API_KEY, BASE_URL, SECONDS_MAX, Target

Json = dict[str, Any]
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a location",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "The city and state"}},
        "required": ["location"],
    },
}
DOT = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FINAL = ("response.completed", "response.incomplete", "response.failed")


def message(role: str, content: Any, **more: Any) -> Json:
    return {"type": "message", "role": role, "content": content, **more}


def post(path: str, body: Json) -> httpx.Response:
    headers = {"authorization": f"Bearer {API_KEY}"}
    return httpx.post(f"{BASE_URL}{path}", json=body, headers=headers, timeout=SECONDS_MAX, trust_env=False)


# --- the form of the objects ---


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def text(value: Any) -> bool:
    return isinstance(value, str)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def of(*words: str) -> Callable[[Any], bool]:
    return lambda value: value in words


def maybe(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def each(check: Callable[[Any], Any]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(check(one) is not False for one in value)


def must(value: Any, form: dict[str, Callable[[Any], Any]], where: str) -> bool:
    """Every member of the form is there and right."""
    assert isinstance(value, dict), f"{where} is no object: {value!r}"
    for name, check in form.items():
        assert name in value, f"{where} lacks {name}: {value}"
        assert check(value[name]) is not False, f"{where}.{name} is {value[name]!r}"
    return True


def usage(value: Any) -> bool:
    form = {"input_tokens": whole, "output_tokens": whole, "total_tokens": whole}
    must(value, {**form, "input_tokens_details": dict_with("cached_tokens"), "output_tokens_details": dict_with("reasoning_tokens")}, "usage")
    return value["total_tokens"] == value["input_tokens"] + value["output_tokens"]


def dict_with(name: str) -> Callable[[Any], bool]:
    return lambda value: must(value, {name: whole}, "details")


def part(value: Any) -> bool:
    forms = {
        "output_text": {"text": text, "annotations": each(lambda one: isinstance(one, dict)), "logprobs": each(lambda one: isinstance(one, dict))},
        "refusal": {"refusal": text},
        "summary_text": {"text": text},
        "reasoning_text": {"text": text},
    }
    assert value.get("type") in forms, f"a part of type {value.get('type')!r}"
    return must(value, forms[value["type"]], value["type"])


def item(value: Any) -> bool:
    state = of("in_progress", "completed", "incomplete")
    forms: dict[str, dict[str, Callable[[Any], Any]]] = {
        "message": {"id": text, "status": state, "role": of("assistant"), "content": each(part)},
        "function_call": {"id": text, "call_id": text, "name": text, "arguments": text, "status": state},
        "reasoning": {"id": text, "summary": each(part)},
        "compaction": {"id": text, "encrypted_content": text},
    }
    assert value.get("type") in forms, f"an item of type {value.get('type')!r}"
    return must(value, forms[value["type"]], value["type"])


def failure(value: Any) -> bool:
    return must(value, {"code": text, "message": text}, "error")


def resource(value: Any) -> None:
    """The response object, every member that the specification requires."""
    must(
        value,
        {
            "id": text,
            "object": of("response"),
            "created_at": whole,
            "completed_at": maybe(whole),
            "status": of("queued", "in_progress", "completed", "incomplete", "failed", "cancelled"),
            "incomplete_details": maybe(lambda one: must(one, {"reason": text}, "incomplete_details")),
            "model": text,
            "previous_response_id": maybe(text),
            "instructions": maybe(text),
            "output": each(item),
            "error": maybe(failure),
            "tools": each(lambda one: must(one, {"type": text, "name": text, "description": maybe(text), "parameters": lambda _: True, "strict": maybe(flag)}, "tools[]")),
            "tool_choice": lambda one: one in ("none", "auto", "required") or isinstance(one, dict),
            "truncation": of("auto", "disabled"),
            "parallel_tool_calls": flag,
            "text": lambda one: must(one, {"format": lambda form: must(form, {"type": text}, "text.format")}, "text"),
            "top_p": number,
            "presence_penalty": number,
            "frequency_penalty": number,
            "top_logprobs": whole,
            "temperature": number,
            "reasoning": maybe(lambda one: must(one, {"effort": maybe(text), "summary": maybe(text)}, "reasoning")),
            "usage": maybe(usage),
            "max_output_tokens": maybe(whole),
            "max_tool_calls": maybe(whole),
            "store": flag,
            "background": flag,
            "service_tier": text,
            "metadata": lambda one: isinstance(one, dict),
            "safety_identifier": maybe(text),
            "prompt_cache_key": maybe(text),
        },
        "response",
    )


EVENTS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "response.created": {"response": resource},
    "response.queued": {"response": resource},
    "response.in_progress": {"response": resource},
    "response.completed": {"response": resource},
    "response.incomplete": {"response": resource},
    "response.failed": {"response": resource},
    "response.output_item.added": {"output_index": whole},
    "response.output_item.done": {"output_index": whole, "item": item},
    "response.content_part.added": {"item_id": text, "output_index": whole, "content_index": whole, "part": part},
    "response.content_part.done": {"item_id": text, "output_index": whole, "content_index": whole, "part": part},
    "response.output_text.delta": {"item_id": text, "output_index": whole, "content_index": whole, "delta": text, "logprobs": each(lambda one: True)},
    "response.output_text.done": {"item_id": text, "output_index": whole, "content_index": whole, "text": text, "logprobs": each(lambda one: True)},
    "response.function_call_arguments.delta": {"item_id": text, "output_index": whole, "delta": text},
    "response.function_call_arguments.done": {"item_id": text, "output_index": whole, "arguments": text},
    "response.reasoning_summary_part.added": {"item_id": text, "output_index": whole, "summary_index": whole, "part": part},
    "response.reasoning_summary_part.done": {"item_id": text, "output_index": whole, "summary_index": whole, "part": part},
    "response.reasoning_summary_text.delta": {"item_id": text, "output_index": whole, "summary_index": whole, "delta": text},
    "response.reasoning_summary_text.done": {"item_id": text, "output_index": whole, "summary_index": whole, "text": text},
    "response.reasoning_text.delta": {"item_id": text, "output_index": whole, "content_index": whole, "delta": text},
    "response.reasoning_text.done": {"item_id": text, "output_index": whole, "content_index": whole, "text": text},
}


def answered(path: str, body: Json) -> Json:
    reply = post(path, body)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("application/json")
    return reply.json()


def completed(body: Json, *, kind: str | None = None) -> Json:
    """A whole answer of the right form that has output."""
    made = answered("/responses", body)
    resource(made)
    assert made["output"]
    if kind is None:
        assert made["status"] == "completed"
    else:
        assert any(one["type"] == kind for one in made["output"])
    return made


def streamed(body: Json) -> list[Json]:
    """The events of a stream, each of the right form, under its own name, numbered from 0, closed by `[DONE]`."""
    reply = post("/responses", {**body, "stream": True})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/event-stream")
    frames = [frame.split("\n") for frame in reply.text.strip().split("\n\n")]
    assert frames.pop() == ["data: [DONE]"]
    events = []
    for name, data in frames:
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        must(event, {"sequence_number": whole, **EVENTS[event["type"]]}, event["type"])
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] in FINAL and sum(event["type"] in FINAL for event in events) == 1
    return events


# --- the cases ---


def test_basic_response(target: Target) -> None:
    completed({"model": target.model, "input": [message("user", "Say hello in exactly 3 words.")]})


def test_assistant_phase(target: Target) -> None:
    history = [
        message("assistant", "I should answer with the saved number.", phase="commentary"),
        message("assistant", "The number is four.", phase="final_answer"),
        message("user", "Repeat only the number."),
    ]
    completed({"model": target.model, "input": history})


def test_response_output_phase(target: Target) -> None:
    """The suite looks at a made-up object only. Here: a phase in a conversation's item is shown again as it was given."""
    items = [message("assistant", [{"type": "output_text", "text": word, "annotations": []}], phase=phase) for word, phase in (("checking", "commentary"), ("four", "final_answer"))]
    thread = answered("/conversations", {"items": items})["id"]
    listed = httpx.get(f"{BASE_URL}/conversations/{thread}/items", params={"order": "asc"}, headers={"authorization": f"Bearer {API_KEY}"}, trust_env=False).json()
    assert [one["phase"] for one in listed["data"]] == ["commentary", "final_answer"]
    completed({"model": target.model, "conversation": thread, "input": "Repeat only the number."})


def test_streaming_response(target: Target) -> None:
    events = streamed({"model": target.model, "input": [message("user", "Count from 1 to 5.")]})
    assert events[-1]["response"]["status"] == "completed"
    said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert "Count from 1 to 5." in said


def test_system_prompt(target: Target) -> None:
    system = message("system", "You are a pirate. Always respond in pirate speak.")
    completed({"model": target.model, "input": [system, message("user", "Say hello.")]})


def test_tool_calling(target: Target) -> None:
    asked = message("user", "What's the weather like in San Francisco?")
    made = completed({"model": target.model, "input": [asked], "tools": [WEATHER]}, kind="function_call")
    (call,) = [one for one in made["output"] if one["type"] == "function_call"]
    assert call["name"] == "get_weather" and "location" in json.loads(call["arguments"])


def test_tool_calling_streaming(target: Target) -> None:
    asked = message("user", "What's the weather like in San Francisco?")
    events = streamed({"model": target.model, "input": [asked], "tools": [WEATHER]})
    for kind in ("response.output_item.added", "response.output_item.done"):
        assert any(event["type"] == kind and event["item"]["type"] == "function_call" for event in events), kind
    pieces = [event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    (done,) = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert pieces and "".join(pieces) == done["arguments"]


def test_image_input(target: Target) -> None:
    content = [{"type": "input_text", "text": "What do you see in this image? Answer in one sentence."}, {"type": "input_image", "image_url": DOT}]
    made = completed({"model": target.model, "input": [message("user", content)]})
    assert "1 images" in made["output"][-1]["content"][0]["text"]


def test_multi_turn(target: Target) -> None:
    history = [
        message("user", "My name is Alice."),
        message("assistant", "Hello Alice! Nice to meet you. How can I help you today?"),
        message("user", "What is my name?"),
    ]
    made = completed({"model": target.model, "input": history})
    assert "3 messages" in made["output"][-1]["content"][0]["text"]


def test_compact_response(target: Target) -> None:
    said = [
        message("user", "We agreed to launch on Tuesday and notify support first."),
        message("assistant", "Understood. The launch is Tuesday, with support notified beforehand."),
    ]
    made = answered("/responses/compact", {"model": target.model, "prompt_cache_key": "compact", "input": said})
    must(made, {"id": text, "object": of("response.compaction"), "created_at": whole, "usage": usage, "output": lambda one: isinstance(one, list)}, "compaction")
    assert any(one["type"] == "compaction" and item(one) for one in made["output"])


def test_compact_missing_model() -> None:
    reply = post("/responses/compact", {"input": [message("user", "Compact this conversation.")]})
    assert reply.status_code in (400, 422)
    assert reply.json()["error"]["param"] == "model"


@pytest.mark.parametrize("path", ["/responses"])
def test_not_a_request(path: str) -> None:
    """The control of the forms above: what is wrong is refused in the API's own shape."""
    reply = post(path, {"model": "gpt-5.4", "input": [{"type": "message", "role": "user"}]})
    assert reply.status_code == 400
    must(reply.json()["error"], {"message": text, "type": of("invalid_request_error"), "param": text, "code": maybe(text)}, "error")
