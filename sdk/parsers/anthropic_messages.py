"""Anthropic Messages through anthropic-python.

Non-streamed: `client.messages.create`. Streamed: `client.messages.stream`, whose helper accumulates the final message.
"""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
from anthropic.types import Message

from .record import Candidate, Recorded, cut, failure, reply, sse_lines, tool, usage

DIALECT = "anthropic-messages"
ENDPOINTS = {"messages"}

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


def frame_lines(events: list[str]) -> bytes:
    return sse_lines(events)


def parse(fixture: dict[str, Any], response: Recorded) -> dict[str, Any]:
    """What anthropic-python says of the recording."""
    streamed = "text/event-stream" in response.headers.get("content-type", "")

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(response.status, headers=response.headers, content=cut(response.body))

    client = anthropic.Anthropic(
        api_key="sk-none",
        base_url="http://recorded.invalid",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    wanted: Any = {"model": "recorded", "max_tokens": 1024, "messages": [{"role": "user", "content": "recorded"}]}
    try:
        if streamed:
            with client.messages.stream(**wanted) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**wanted)
    except anthropic.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        inner = body.get("error") if isinstance(body.get("error"), dict) else {}
        return failure(
            sdk_class=type(error).__name__,
            status=error.status_code,
            type=inner.get("type"),
            message=inner.get("message"),
        )
    return of_message(message)


def of_message(message: Message) -> dict[str, Any]:
    candidate = Candidate(finish=message.stop_reason)
    for block in message.content:
        if block.type == "text":
            candidate.text += block.text
        elif block.type == "thinking":
            candidate.reasoning += block.thinking
        elif block.type == "tool_use":
            candidate.tools.append(tool(block.id, block.name, block.input))
        else:
            candidate.others.append(block.type)
    if candidate.finish is not None:
        candidate.finish_class = FINISH.get(candidate.finish, "other")
    return reply([candidate], usage_of(message.usage))


def usage_of(used: Any) -> dict[str, int] | None:
    """`input_tokens` excludes both what was read from and what was written to the cache; `output_tokens` includes thinking."""
    if used is None:
        return None
    read, written = used.cache_read_input_tokens or 0, used.cache_creation_input_tokens or 0
    details = used.output_tokens_details
    return usage(
        input_total=(used.input_tokens or 0) + read + written,
        cached=read,
        cache_write=written,
        output_total=used.output_tokens or 0,
        reasoning=(getattr(details, "thinking_tokens", None) or 0) if details else 0,
    )
