"""OpenAI's Responses with state, on clouds that keep none: turns, streams, background work, what was kept, errors."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest
from conftest import BASE_URL, SECONDS_MAX, Target, chosen_targets
from openai.types.responses import Response
from pydantic import BaseModel
from simulator import Simulator, directed

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
}
# A model of its own for what does not depend on the cloud.
MODEL = "gpt-5.4"


def until(client: openai.OpenAI, response: Response, *wanted: str) -> Response:
    """Polls as a client does, until the status is one of `wanted`."""
    ends = time.monotonic() + SECONDS_MAX
    while response.status not in wanted:
        assert time.monotonic() < ends, f"{response.id} is {response.status}, not {wanted}"
        time.sleep(0.02)
        response = client.responses.retrieve(response.id)
    return response


def text_of(events: list[Any]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def messages_seen(response: Response) -> int:
    """How many messages the simulated model says it was given."""
    return int(response.output_text.split(": ", 1)[1].split(" messages", 1)[0])


# --- one turn ---


def test_the_head_says_who_keeps_the_conversation(client: openai.OpenAI) -> None:
    for kept, wanted in [(True, "stateless; gateway_state"), (False, "stateless")]:
        raw = client.responses.with_raw_response.create(model=MODEL, input="hello", store=kept)
        assert raw.headers["x-cabotage-class"] == wanted


def test_create(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    reply = client.responses.create(model=target.model, input=f"say {nonce}", metadata={"ship": nonce})
    assert reply.output_text.endswith(f"1 messages, 0 images. You said: say {nonce}")
    assert (reply.object, reply.status, reply.error) == ("response", "completed", None)
    assert reply.output[-1].type == "message" and reply.metadata == {"ship": nonce} and reply.store is True
    assert reply.usage is not None and reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    seen = simulator.the_exchange(nonce)
    assert seen["cloud"] == target.cloud
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (seen["usage"]["input"], seen["usage"]["output"])
    assert client.responses.retrieve(reply.id).to_dict() == reply.to_dict()


def test_stream(client: openai.OpenAI, target: Target, nonce: str) -> None:
    events = list(client.responses.create(model=target.model, input=f"say {nonce}", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    for must in ("output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done"):
        assert f"response.{must}" in kinds, must
    final = events[-1].response
    assert text_of(events) == final.output_text and nonce in final.output_text
    assert kinds.count("response.output_text.delta") > 1
    added = [event.item.id for event in events if event.type == "response.output_item.added"]
    assert added == [item.id for item in final.output]
    assert {event.item_id for event in events if hasattr(event, "item_id")} <= set(added)
    # What a stream said in the end is what is kept, at once.
    assert client.responses.retrieve(final.id).to_dict() == final.to_dict()


def test_stream_and_whole_answer_have_the_same_items(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """The road to the answer does not show in it: kinds of items and where their text stands are the same."""

    def shape(response: Response) -> list[Any]:
        return [(item.type, len(getattr(item, "summary", None) or []), len(getattr(item, "content", None) or [])) for item in response.output]

    asked = {"model": target.model, "input": f"say {nonce}", "reasoning": {"effort": "high"}}
    whole = client.responses.create(**asked)
    (*_, last) = client.responses.create(**asked, stream=True)
    assert shape(whole) == shape(last.response)


def test_stream_helper(client: openai.OpenAI, target: Target, nonce: str) -> None:
    with client.responses.stream(model=target.model, input=f"say {nonce}") as stream:
        kinds = {event.type for event in stream}
        assert nonce in stream.get_final_response().output_text
    assert "response.output_text.delta" in kinds


class Berth(BaseModel):
    number: int
    note: str


def test_parse(client: openai.OpenAI, target: Target) -> None:
    """Structured output by a pydantic model, or a clear refusal where the cloud has no such thing."""
    if not target.schema:
        with pytest.raises(openai.BadRequestError):
            client.responses.parse(model=target.model, input="hello", text_format=Berth)
        return
    reply = client.responses.parse(model=target.model, input="hello", text_format=Berth)
    assert isinstance(reply.output_parsed, Berth)
    assert all(item.type in ("message", "reasoning") for item in reply.output)


def test_image(client: openai.OpenAI, target: Target, nonce: str) -> None:
    pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    content = [{"type": "input_text", "text": f"say {nonce}"}, {"type": "input_image", "image_url": pixel, "detail": "auto"}]
    first = client.responses.create(model=target.model, input=[{"role": "user", "content": content}])
    assert "1 messages, 1 images" in first.output_text
    # An image that was kept goes along with the next turn.
    second = client.responses.create(model=target.model, input="again", previous_response_id=first.id)
    assert "3 messages, 1 images" in second.output_text


def test_max_output_tokens(client: openai.OpenAI, target: Target) -> None:
    asked = {"reasoning": {"effort": "none"}} if target.quiet else {}
    reply = client.responses.create(model=target.model, input=directed(deltas=200), max_output_tokens=20, **asked)
    assert reply.status == "incomplete" and reply.incomplete_details is not None
    assert reply.incomplete_details.reason == "max_output_tokens"


# --- turns ---


def test_turns(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    """Only the new input is sent; the model is given the whole."""
    reply = client.responses.create(model=target.model, input=f"{nonce}-0")
    for turn in range(1, 4):
        last, word = reply, f"{nonce}-{turn}"
        reply = client.responses.create(model=target.model, input=word, previous_response_id=last.id)
        assert reply.previous_response_id == last.id
        assert messages_seen(reply) == 2 * turn + 1
        body = simulator.the_exchange(word)["body"]
        # Each word stands once for its own message and once in the answer that repeats it.
        places = [body.index(f"{nonce}-{before}") for before in range(turn + 1)]
        assert places == sorted(places)


def test_instructions_are_not_carried_over(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    old, new = f"old{nonce}", f"new{nonce}"
    first = client.responses.create(model=target.model, instructions=f"rule {old}", input=f"one{nonce}")
    assert first.instructions == f"rule {old}"
    assert f"rule {old}" in simulator.the_exchange(f"one{nonce}")["body"]
    second = client.responses.create(model=target.model, instructions=f"rule {new}", input=f"two{nonce}", previous_response_id=first.id)
    third = client.responses.create(model=target.model, input=f"three{nonce}", previous_response_id=second.id)
    body = simulator.exchanges(f"two{nonce}")[0]["body"]
    assert f"rule {new}" in body and old not in body
    body = simulator.the_exchange(f"three{nonce}")["body"]
    assert old not in body and new not in body and third.instructions is None


def test_two_branches_of_one_turn(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    root = client.responses.create(model=target.model, input=f"root {nonce}")
    left, right = f"left{nonce}", f"right{nonce}"
    replies = [client.responses.create(model=target.model, input=word, previous_response_id=root.id) for word in (left, right)]
    assert [messages_seen(reply) for reply in replies] == [3, 3]
    assert left not in simulator.the_exchange(right)["body"]


def test_the_next_turn_on_another_cloud(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    """With a tool called and reasoning, from this cloud to each other one."""
    asked = client.responses.create(model=target.model, input="call get_weather for Turin", tools=[WEATHER], reasoning={"effort": "high"})
    (call,) = [item for item in asked.output if item.type == "function_call"]
    for other in chosen_targets():
        word = f"{nonce}-{other.name}-cloud"
        result = {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny {word}"}
        reply = client.responses.create(model=other.model, input=[result], tools=[WEATHER], previous_response_id=asked.id)
        assert reply.status == "completed" and word in reply.output_text, other.name
        assert simulator.the_exchange(word)["cloud"] == other.cloud


def test_tools(client: openai.OpenAI, target: Target, nonce: str) -> None:
    asked = client.responses.create(model=target.model, input="call get_weather for Turin", tools=[WEATHER])
    (call,) = [item for item in asked.output if item.type == "function_call"]
    assert call.name == "get_weather" and isinstance(json.loads(call.arguments)["city"], str) and call.call_id
    answer = [{"type": "function_call_output", "call_id": call.call_id, "output": f"sunny {nonce}"}]
    reply = client.responses.create(model=target.model, input=answer, tools=[WEATHER], previous_response_id=asked.id)
    assert f"sunny {nonce}" in reply.output_text
    later = client.responses.create(model=target.model, input="thanks", tools=[WEATHER], previous_response_id=reply.id)
    assert later.status == "completed"


def test_tools_stream(client: openai.OpenAI, target: Target) -> None:
    events = list(client.responses.create(model=target.model, input="call get_weather for Turin", tools=[WEATHER], stream=True))
    (done,) = [event for event in events if event.type == "response.function_call_arguments.done"]
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(pieces) == done.arguments and json.loads(done.arguments)["city"]
    (call,) = [item for item in events[-1].response.output if item.type == "function_call"]
    assert (call.id, call.arguments) == (done.item_id, done.arguments)


def test_tools_without_state(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """The whole conversation in the input, thoughts in their encrypted form among it."""
    first = {"role": "user", "content": "call get_weather for Turin"}
    options: dict[str, Any] = {
        "model": target.model,
        "tools": [WEATHER],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "high"},
    }
    asked = client.responses.create(input=[first], **options)
    (call,) = [item for item in asked.output if item.type == "function_call"]
    history = [first, *(item.to_dict() for item in asked.output)]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny {nonce}"}
    reply = client.responses.create(input=[*history, result], **options)
    assert f"sunny {nonce}" in reply.output_text
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(reply.id)
    with pytest.raises(openai.APIStatusError) as raised:
        client.responses.create(model=target.model, input="more", previous_response_id=reply.id)
    assert raised.value.code == "previous_response_not_found"


# --- background work and streams that are left ---


def test_background(client: openai.OpenAI, target: Target, nonce: str) -> None:
    begun = client.responses.create(model=target.model, input=f"say {nonce}", background=True)
    assert begun.status in ("queued", "in_progress") and begun.background is True
    done = until(client, begun, "completed")
    assert nonce in done.output_text and done.id == begun.id
    after = client.responses.create(model=target.model, input="more", previous_response_id=begun.id)
    assert messages_seen(after) == 3


def cloud_is_left_off(simulator: Simulator, nonce: str) -> None:
    """The cloud was asked, and was left off before its end."""
    seen = simulator.the_exchange(nonce, lambda record: record["client_disconnected"], seconds=3)
    assert not seen["complete"]


def test_background_cancel(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    slow = directed(fault={"kind": "slow_headers", "ms": 6000})
    begun = client.responses.create(model=target.model, input=f"{nonce} {slow}", background=True)
    until(client, begun, "in_progress")
    while not simulator.exchanges(nonce):
        time.sleep(0.02)
    assert client.responses.cancel(begun.id).status == "cancelled"
    assert client.responses.cancel(begun.id).status == "cancelled"
    assert client.responses.retrieve(begun.id).status == "cancelled"
    cloud_is_left_off(simulator, nonce)


def test_background_stream_cancel(client: openai.OpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    """In the midst of the answer: the stream ends with that, and what was said so far stays."""
    slow = directed(deltas=200, pace_ms=40)
    events = []
    for event in client.responses.create(model=target.model, input=f"{nonce} {slow}", background=True, stream=True):
        events.append(event)
        if event.type == "response.output_text.delta" and len(text_of(events)) < 9:
            client.responses.cancel(events[0].response.id)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kept = client.responses.retrieve(events[0].response.id)
    assert kept.status == "cancelled" and "response.completed" not in [event.type for event in events]
    cloud_is_left_off(simulator, nonce)


def test_a_turn_on_a_running_response(client: openai.OpenAI, target: Target) -> None:
    slow = directed(fault={"kind": "slow_headers", "ms": 6000})
    begun = client.responses.create(model=target.model, input=slow, background=True)
    with pytest.raises(openai.APIStatusError) as raised:
        client.responses.create(model=target.model, input="more", previous_response_id=begun.id)
    assert raised.value.status_code in (400, 409) and raised.value.code == "response_in_progress"
    client.responses.cancel(begun.id)


@pytest.mark.parametrize("left_after", [1, 6])
def test_resume(client: openai.OpenAI, target: Target, left_after: int) -> None:
    """A client that went away takes the stream up where it left it: no event lost, none twice."""
    slow = directed(deltas=12, pace_ms=20)
    before = []
    stream = client.responses.create(model=target.model, input=slow, background=True, stream=True)
    for event in stream:
        before.append(event)
        if len(before) == left_after:
            break
    stream.close()
    response_id = before[0].response.id
    after = list(client.responses.retrieve(response_id, stream=True, starting_after=before[-1].sequence_number))
    events = before + after
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert text_of(events) == events[-1].response.output_text == client.responses.retrieve(response_id).output_text
    # And from the beginning, once all is over.
    again = list(client.responses.retrieve(response_id, stream=True))
    assert [event.to_dict() for event in again] == [event.to_dict() for event in events]


def test_only_background_streams_are_resumed(client: openai.OpenAI, nonce: str) -> None:
    reply = client.responses.create(model=MODEL, input=f"say {nonce}")
    with pytest.raises(openai.BadRequestError):
        list(client.responses.retrieve(reply.id, stream=True, starting_after=1))
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(reply.id)


def test_background_failure(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """What goes wrong behind a client's back is told when it asks."""
    denied = directed(fault={"kind": "status", "status": 400})
    failed = until(client, client.responses.create(model=target.model, input=f"{nonce} {denied}", background=True), "failed", "completed")
    assert failed.status == "failed" and failed.error is not None and failed.error.message


# --- what is kept ---


def test_delete(client: openai.OpenAI, target: Target, nonce: str) -> None:
    first = client.responses.create(model=target.model, input=f"say {nonce}")
    second = client.responses.create(model=target.model, input="more", previous_response_id=first.id)
    client.responses.delete(first.id)
    for call in (client.responses.retrieve, client.responses.delete, client.responses.cancel, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            call(first.id)
    with pytest.raises(openai.APIStatusError) as raised:
        client.responses.create(model=target.model, input="more", previous_response_id=first.id)
    assert raised.value.code == "previous_response_not_found"
    assert client.responses.retrieve(second.id).id == second.id


def test_input_items(client: openai.OpenAI, target: Target, nonce: str) -> None:
    words = [f"{nonce}-{letter}" for letter in "abcde"]
    given = [{"role": "user", "content": word} for word in words]
    reply = client.responses.create(model=target.model, input=given)

    def listed(**query: Any) -> list[str]:
        # Iterating follows the pages.
        return [item.content[0].text for item in client.responses.input_items.list(reply.id, **query)]

    assert listed(order="asc") == words
    assert listed() == listed(order="desc", limit=2) == words[::-1]
    page = client.responses.input_items.list(reply.id, order="asc", limit=2)
    assert len(page.data) == 2 and page.has_more and page.first_id == page.data[0].id and page.last_id == page.data[1].id
    rest = client.responses.input_items.list(reply.id, order="asc", after=page.last_id)
    assert [item.content[0].text for item in rest.data] == words[2:] and not rest.has_more


def test_input_tokens(client: openai.OpenAI, target: Target) -> None:
    short = client.responses.input_tokens.count(model=target.model, input="hello").input_tokens
    long = client.responses.input_tokens.count(model=target.model, input="hello " * 400).input_tokens
    assert 0 < short < long


def test_compact(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """What was said is put together by the operator's model, and serves as input."""
    said = [{"role": "user", "content": f"we meet at {nonce}"}, {"role": "assistant", "content": "noted"}]
    made = client.responses.compact(model=target.model, input=said)
    assert made.object == "response.compaction" and any(item.type == "compaction" for item in made.output)
    history = [item.to_dict() for item in made.output]
    reply = client.responses.create(model=target.model, input=[*history, {"role": "user", "content": "where?"}])
    assert reply.status == "completed"


# --- errors ---


def with_key(key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=BASE_URL, api_key=key, max_retries=0, timeout=SECONDS_MAX)


# Keys of others, and what they are told: the bank's terms permit it no store at all, and say so whatever it asks for.
STRANGERS = [("sk-demo-eu", 404), ("sk-demo-bank", 403)]


@pytest.mark.parametrize(("stranger", "status"), STRANGERS)
def test_foreign_and_unknown_ids_are_the_same(client: openai.OpenAI, stranger: str, status: int, nonce: str) -> None:
    """Nobody learns from an error that another's response exists."""
    mine = client.responses.create(model=MODEL, input=f"say {nonce}").id
    unknown = mine[:-12] + "0" * 12
    with with_key(stranger) as other:
        calls = {
            "retrieve": other.responses.retrieve,
            "delete": other.responses.delete,
            "cancel": other.responses.cancel,
            "items": other.responses.input_items.list,
            "turn": lambda id: other.responses.create(model=MODEL, input="more", previous_response_id=id),
        }
        for name, call in calls.items():
            said = []
            for wanted in (mine, unknown):
                with pytest.raises(openai.APIStatusError) as raised:
                    call(wanted)
                said.append((raised.value.status_code, raised.value.response.text.replace(wanted, "ID")))
            assert said[0] == said[1], name
            assert said[0][0] == status, (name, said)
    assert client.responses.retrieve(mine).id == mine


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"metadata": {f"k{number}": "v" for number in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"previous_response_id": "resp_a", "conversation": "conv_a"}, "previous_response_id"),
        ({"background": True, "store": False}, "background"),
        ({"input": [{"type": "message", "role": "captain", "content": "x"}]}, "role"),
        ({"input": 5}, "input"),
        ({"truncation": "perhaps"}, "truncation"),
    ],
    ids=["17-pairs", "long-key", "long-value", "number-value", "two-pasts", "background-unkept", "role", "input", "truncation"],
)
def test_malformed(client: openai.OpenAI, wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/responses", body={"model": MODEL, "input": "hello", **wrong}, cast_to=object)
    assert param in f"{raised.value.param} {raised.value.message}"
    assert raised.value.type == "invalid_request_error" and raised.value.message


def test_wrong_tool_output(client: openai.OpenAI, target: Target) -> None:
    asked = client.responses.create(model=target.model, input="call get_weather for Turin", tools=[WEATHER])
    answer = [{"type": "function_call_output", "call_id": "call_nobody", "output": "sunny"}]
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model=target.model, input=answer, tools=[WEATHER], previous_response_id=asked.id)
    assert "call_nobody" in raised.value.message


def test_an_unanswered_call(client: openai.OpenAI, target: Target) -> None:
    asked = client.responses.create(model=target.model, input="call get_weather for Turin", tools=[WEATHER])
    (call,) = [item for item in asked.output if item.type == "function_call"]
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model=target.model, input="never mind", tools=[WEATHER], previous_response_id=asked.id)
    assert call.call_id in raised.value.message
