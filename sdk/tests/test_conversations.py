"""OpenAI's Conversations: a thread with items, turns that are added to it, one after another also when they come at once."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from conftest import BASE_URL, SECONDS_MAX, Target, chosen_targets
from openai.types.conversations import Conversation
from simulator import Simulator, directed
from test_responses import MODEL, STRANGERS, WEATHER, messages_seen, with_key


def message(text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


def texts(client: openai.OpenAI, conversation: Conversation, **query: Any) -> list[str]:
    """The texts of all messages; iterating follows the pages."""
    return [item.content[0].text for item in client.conversations.items.list(conversation.id, **query) if item.type == "message"]


@pytest.fixture
def thread(client: openai.OpenAI) -> Conversation:
    return client.conversations.create()


def test_life(client: openai.OpenAI, nonce: str) -> None:
    made = client.conversations.create(metadata={"ship": nonce}, items=[message(f"one {nonce}")])
    assert made.object == "conversation" and made.id.startswith("conv_") and made.metadata == {"ship": nonce}
    assert client.conversations.retrieve(made.id) == made
    changed = client.conversations.update(made.id, metadata={"ship": "other"})
    assert (changed.id, changed.metadata) == (made.id, {"ship": "other"})
    assert client.conversations.retrieve(made.id) == changed
    assert texts(client, made) == [f"one {nonce}"]
    gone = client.conversations.delete(made.id)
    assert gone.deleted is True and gone.id == made.id and gone.object == "conversation.deleted"
    for call in (client.conversations.retrieve, client.conversations.delete, client.conversations.items.list):
        with pytest.raises(openai.NotFoundError):
            call(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=MODEL, input="hello", conversation=made.id)


def test_items(client: openai.OpenAI, thread: Conversation, nonce: str) -> None:
    words = [f"{nonce}-{letter}" for letter in "abcde"]
    added = client.conversations.items.create(thread.id, items=[message(word) for word in words])
    assert added.object == "list" and [item.content[0].text for item in added.data] == words
    assert texts(client, thread, order="asc") == words
    assert texts(client, thread) == texts(client, thread, order="desc", limit=2) == words[::-1]
    page = client.conversations.items.list(thread.id, order="asc", limit=2)
    assert len(page.data) == 2 and page.has_more and page.last_id == page.data[-1].id
    one = client.conversations.items.retrieve(added.data[2].id, conversation_id=thread.id)
    assert one == added.data[2]
    left = client.conversations.items.delete(one.id, conversation_id=thread.id)
    assert left.id == thread.id
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(one.id, conversation_id=thread.id)
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.delete(one.id, conversation_id=thread.id)
    assert texts(client, thread, order="asc") == words[:2] + words[3:]


def test_turns(client: openai.OpenAI, target: Target, thread: Conversation, nonce: str, simulator: Simulator) -> None:
    words = [f"{nonce}-{turn}" for turn in range(4)]
    for turn, word in enumerate(words):
        reply = client.responses.create(model=target.model, input=word, conversation=thread.id)
        assert reply.conversation is not None and reply.conversation.id == thread.id
        assert messages_seen(reply) == 2 * turn + 1
    body = simulator.the_exchange(words[-1])["body"]
    places = [body.index(word) for word in words]
    assert places == sorted(places)
    said = texts(client, thread, order="asc")
    assert said[::2] == words and all(answer.endswith(word) for answer, word in zip(said[1::2], words, strict=True))


def test_streamed_turn_with_a_tool(client: openai.OpenAI, target: Target, thread: Conversation, nonce: str) -> None:
    turn = {"model": target.model, "conversation": thread.id, "tools": [WEATHER]}
    (*_, last) = client.responses.create(input="call get_weather for Turin", stream=True, **turn)
    (call,) = [item for item in last.response.output if item.type == "function_call"]
    answer = [{"type": "function_call_output", "call_id": call.call_id, "output": f"sunny {nonce}"}]
    (*_, last) = client.responses.create(input=answer, stream=True, **turn)
    assert f"sunny {nonce}" in last.response.output_text
    kinds = [item.type for item in client.conversations.items.list(thread.id, order="asc") if item.type != "reasoning"]
    assert kinds == ["message", "function_call", "function_call_output", "message"]


def test_background_turn(client: openai.OpenAI, target: Target, thread: Conversation, nonce: str) -> None:
    begun = client.responses.create(model=target.model, input=f"say {nonce}", conversation=thread.id, background=True)
    while begun.status in ("queued", "in_progress"):
        begun = client.responses.retrieve(begun.id)
    after = client.responses.create(model=target.model, input="more", conversation=thread.id)
    assert begun.status == "completed" and messages_seen(after) == 3


def test_items_added_by_hand_are_seen(client: openai.OpenAI, target: Target, thread: Conversation, nonce: str, simulator: Simulator) -> None:
    added = client.conversations.items.create(thread.id, items=[message(f"first{nonce}"), message(f"second{nonce}")])
    client.conversations.items.delete(added.data[0].id, conversation_id=thread.id)
    client.responses.create(model=target.model, input=f"third{nonce}", conversation=thread.id)
    body = simulator.the_exchange(f"third{nonce}")["body"]
    assert f"second{nonce}" in body and f"first{nonce}" not in body


async def test_turns_at_once(async_client: openai.AsyncOpenAI, target: Target, nonce: str) -> None:
    """One after another, or refused with 409; what was acknowledged is there once, whole turns beside each other."""
    thread = await async_client.conversations.create()
    words = [f"{nonce}-{number}" for number in range(6)]
    calls = [async_client.responses.create(model=target.model, input=word, conversation=thread.id) for word in words]
    replies = await asyncio.gather(*calls, return_exceptions=True)
    refused = [reply for reply in replies if isinstance(reply, BaseException)]
    assert all(isinstance(reply, openai.ConflictError) for reply in refused), refused
    served = [word for word, reply in zip(words, replies, strict=True) if not isinstance(reply, BaseException)]
    assert served
    said = [item.content[0].text async for item in async_client.conversations.items.list(thread.id, order="asc") if item.type == "message"]
    assert sorted(said[::2]) == sorted(served)
    assert all(answer.endswith(word) for word, answer in zip(said[::2], said[1::2], strict=True))
    counts = sorted(messages_seen(reply) for reply in replies if not isinstance(reply, BaseException))
    assert counts == [2 * turn + 1 for turn in range(len(served))]


def test_a_failed_turn_leaves_nothing(client: openai.OpenAI, target: Target, thread: Conversation, nonce: str) -> None:
    client.responses.create(model=target.model, input=f"good {nonce}", conversation=thread.id)
    before = [item.id for item in client.conversations.items.list(thread.id)]
    wrong = directed(fault={"kind": "status", "status": 400})
    with pytest.raises(openai.APIStatusError):
        client.responses.create(model=target.model, input=f"bad {wrong}", conversation=thread.id)
    assert [item.id for item in client.conversations.items.list(thread.id)] == before
    assert messages_seen(client.responses.create(model=target.model, input="on", conversation=thread.id)) == 3


# Names of losses, and where a long conversation goes, and back.
THOUGHTS = {"reasoning", "reasoning.signature", "reasoning_effort", "messages.reasoning", "messages.signature"}
HOSTS_OWN = {"choices.content_filter_results", "prompt_filter_results", "metrics", "system_fingerprint"}
ROUTE = ("azure", "bedrock", "vertex-gemini", "vllm", "azure")


@pytest.mark.timeout(120)
def test_forty_turns_over_the_clouds(client: openai.OpenAI, thread: Conversation, nonce: str, simulator: Simulator) -> None:
    """With thoughts and tools: every turn answers from where it was sent, nothing visible is lost, each loss has its name."""
    places = {target.name: target for target in chosen_targets()}
    if not set(ROUTE) <= set(places):
        pytest.skip("not all clouds of the route are among CABOTAGE_SDK_TARGETS")
    visible, turns, losses = [], 0, {}
    for name in ROUTE:
        for number in range(8):
            word = f"{nonce}-{turns}"
            content = f"call get_weather for Turin {word}" if number % 4 == 1 else f"say {word}"
            given: Any = content
            while given:
                answer = client.responses.with_raw_response.create(
                    model=places[name].model, input=given, conversation=thread.id, tools=[WEATHER], reasoning={"effort": "high"}
                )
                reply = answer.parse()
                assert reply.status == "completed"
                said = answer.headers.get("x-cabotage-translation-loss", "")
                losses[turns] = losses.get(turns, set()) | {loss.strip().partition(";")[0] for loss in said.split(",") if loss.strip()}
                visible += [item["type"] + item.get("call_id", "") + str(item.get("content", "")) for item in given] if isinstance(given, list) else [given]
                visible += [item.content[0].text if item.type == "message" else item.type + item.call_id for item in reply.output if item.type != "reasoning"]
                calls = [item for item in reply.output if item.type == "function_call"]
                given = [{"type": "function_call_output", "call_id": call.call_id, "output": f"sunny {word}"} for call in calls]
            assert word in reply.output_text
            # The tool's answer says the word as well; each exchange of this turn was on this cloud.
            assert {record["cloud"] for record in simulator.exchanges(f"{word}\"")} == {places[name].cloud}
            turns += 1
    assert turns == 40
    kept = [
        item.content[0].text if item.type == "message" else item.type + item.call_id
        for item in client.conversations.items.list(thread.id, order="asc", limit=100)
        if item.type != "reasoning"
    ]
    assert kept == visible
    # What is lost of the conversation is thoughts that another host made; the rest is what the hosts add to their answers.
    named = set().union(*losses.values())
    assert named <= THOUGHTS | HOSTS_OWN, named - THOUGHTS - HOSTS_OWN
    for moved in (16, 24, 32):
        assert losses[moved] & THOUGHTS, f"nothing is named for turn {moved}, the first on another cloud"


def test_fork(client: openai.OpenAI, thread: Conversation, nonce: str) -> None:
    """The gateway's own: a conversation from another one, up to an item."""
    words = [f"{nonce}-{letter}" for letter in "abc"]
    added = client.conversations.items.create(thread.id, items=[message(word) for word in words])
    forked = client.post(f"/conversations/{thread.id}/fork", body={"through": added.data[1].id}, cast_to=Conversation)
    assert forked.id != thread.id
    assert texts(client, forked, order="asc") == words[:2]
    client.conversations.items.create(forked.id, items=[message("more")])
    assert texts(client, thread, order="asc") == words


@pytest.mark.parametrize(("stranger", "status"), STRANGERS)
def test_foreign_and_unknown_ids_are_the_same(client: openai.OpenAI, stranger: str, status: int, nonce: str) -> None:
    mine = client.conversations.create(items=[message(nonce)])
    item = client.conversations.items.list(mine.id).data[0].id
    unknown = mine.id[:-12] + "0" * 12
    with with_key(stranger) as other:
        calls = {
            "retrieve": other.conversations.retrieve,
            "update": lambda id: other.conversations.update(id, metadata={}),
            "delete": other.conversations.delete,
            "items": other.conversations.items.list,
            "add": lambda id: other.conversations.items.create(id, items=[message("x")]),
            "item": lambda id: other.conversations.items.retrieve(item, conversation_id=id),
            "turn": lambda id: other.responses.create(model=MODEL, input="more", conversation=id),
        }
        for name, call in calls.items():
            said = []
            for wanted in (mine.id, unknown):
                with pytest.raises(openai.APIStatusError) as raised:
                    call(wanted)
                said.append((raised.value.status_code, raised.value.response.text.replace(wanted, "ID")))
            assert said[0] == said[1] and said[0][0] == status, (name, said)
    assert texts(client, mine) == [nonce]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"metadata": {f"k{number}": "v" for number in range(17)}}, "metadata"),
        ({"items": [{"type": "message", "role": "captain", "content": "x"}]}, "role"),
        ({"items": [message("x")] * 21}, "items"),
        ({"items": "x"}, "items"),
    ],
    ids=["metadata", "role", "too-many", "no-list"],
)
def test_malformed(client: openai.OpenAI, body: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/conversations", body=body, cast_to=object)
    assert param in f"{raised.value.param} {raised.value.message}"


def test_wrong_page(client: openai.OpenAI, thread: Conversation) -> None:
    for query in ({"limit": 0}, {"limit": 101}, {"order": "sideways"}):
        with pytest.raises(openai.BadRequestError):
            client.conversations.items.list(thread.id, **query)


def test_the_eu_workload_keeps_its_own(nonce: str) -> None:
    """A workload that is bound to the EU's store has its conversations there, and they work the same."""
    with openai.OpenAI(base_url=BASE_URL, api_key="sk-demo-eu", max_retries=0, timeout=SECONDS_MAX) as eu:
        thread = eu.conversations.create(items=[message(nonce)])
        assert messages_seen(eu.responses.create(model=MODEL, input="more", conversation=thread.id)) == 2
        assert len(texts(eu, thread)) == 3
