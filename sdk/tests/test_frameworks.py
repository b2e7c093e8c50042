"""Agent frameworks on the Responses API: `openai-agents` and `langchain-openai`, each turn and tool through the gateway's state."""

from __future__ import annotations

import os

# Neither framework may send its traces to anybody.
os.environ.update(OPENAI_AGENTS_DISABLE_TRACING="1", LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false")

import openai
from agents import Agent, ModelSettings, OpenAIConversationsSession, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from conftest import API_KEY, BASE_URL, SECONDS_MAX, Target
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from openai.types.responses import ResponseTextDeltaEvent
from simulator import Simulator

set_tracing_disabled(True)


def agent(client: openai.AsyncOpenAI, target: Target, result: str, **more: object) -> tuple[Agent, list[str]]:
    """An agent with one tool, and the places that the tool was asked for."""
    asked: list[str] = []

    @function_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return result

    model = OpenAIResponsesModel(model=target.model, openai_client=client)
    return Agent(name="sailor", instructions="Answer shortly.", model=model, tools=[get_weather], **more), asked


async def test_agents_tools(async_client: openai.AsyncOpenAI, target: Target, nonce: str) -> None:
    made, asked = agent(async_client, target, f"sunny {nonce}")
    done = await Runner.run(made, "call get_weather for Turin", max_turns=3)
    assert len(asked) == 1 and f"sunny {nonce}" in done.final_output


async def test_agents_stream(async_client: openai.AsyncOpenAI, target: Target, nonce: str) -> None:
    made, asked = agent(async_client, target, f"sunny {nonce}")
    running = Runner.run_streamed(made, "call get_weather for Turin", max_turns=3)
    said = ""
    async for event in running.stream_events():
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
            said += event.data.delta
    assert len(asked) == 1 and f"sunny {nonce}" in said and said.endswith(running.final_output)


async def test_agents_turns(async_client: openai.AsyncOpenAI, target: Target, nonce: str, simulator: Simulator) -> None:
    """The framework sends only what is new and names the response before."""
    made, _ = agent(async_client, target, "sunny")
    first = await Runner.run(made, f"remember one{nonce}")
    second = await Runner.run(made, f"remember two{nonce}", previous_response_id=first.last_response_id)
    assert "3 messages" in second.final_output
    assert f"one{nonce}" in simulator.the_exchange(f"two{nonce}")["body"]


async def test_agents_session(async_client: openai.AsyncOpenAI, target: Target, nonce: str) -> None:
    """Its session on the Conversations API."""
    session = OpenAIConversationsSession(openai_client=async_client)
    made, asked = agent(async_client, target, f"sunny {nonce}")
    first = await Runner.run(made, "call get_weather for Turin", session=session, max_turns=3)
    second = await Runner.run(made, "thanks", session=session)
    assert len(asked) == 1 and f"sunny {nonce}" in first.final_output and second.final_output
    kinds = [item["type"] for item in await session.get_items() if item["type"] != "reasoning"]
    assert kinds == ["message", "function_call", "function_call_output", "message", "message", "message"]
    await session.clear_session()


async def test_agents_reasoning_without_state(async_client: openai.AsyncOpenAI, target: Target, nonce: str) -> None:
    settings = ModelSettings(store=False, reasoning={"effort": "high"}, response_include=["reasoning.encrypted_content"])
    made, asked = agent(async_client, target, f"sunny {nonce}", model_settings=settings)
    done = await Runner.run(made, "call get_weather for Turin", max_turns=3)
    assert len(asked) == 1 and f"sunny {nonce}" in done.final_output


def chain(target: Target, **more: object) -> ChatOpenAI:
    return ChatOpenAI(model=target.model, base_url=BASE_URL, api_key=API_KEY, use_responses_api=True, max_retries=0, timeout=SECONDS_MAX, **more)


def test_langchain(target: Target, nonce: str) -> None:
    reply = chain(target).invoke([SystemMessage("Answer shortly."), HumanMessage(f"say {nonce}")])
    assert nonce in reply.text and reply.usage_metadata["total_tokens"] > 0
    assert reply.response_metadata["id"].startswith("resp_")


def test_langchain_stream(target: Target, nonce: str) -> None:
    whole = None
    pieces = 0
    for piece in chain(target).stream(f"say {nonce}"):
        whole = piece if whole is None else whole + piece
        pieces += 1
    assert whole is not None and nonce in whole.text and pieces > 2


def test_langchain_turns(target: Target, nonce: str, simulator: Simulator) -> None:
    """It leaves the past to the gateway and names the response before."""
    model = chain(target, use_previous_response_id=True)
    history = [HumanMessage(f"remember one{nonce}")]
    history += [model.invoke(history), HumanMessage(f"remember two{nonce}")]
    assert "3 messages" in model.invoke(history).text
    assert f"one{nonce}" in simulator.the_exchange(f"two{nonce}")["body"]


def get_weather(city: str) -> str:
    """The weather of a city."""
    return city


def test_langchain_tools(target: Target, nonce: str) -> None:
    model = chain(target).bind_tools([get_weather])
    history = [HumanMessage("call get_weather for Turin")]
    asked = model.invoke(history)
    (call,) = asked.tool_calls
    assert call["name"] == "get_weather" and "city" in call["args"]
    history += [asked, ToolMessage(f"sunny {nonce}", tool_call_id=call["id"])]
    assert f"sunny {nonce}" in model.invoke(history).text
