"""Responses through openai-python.

Non-streamed: `client.responses.create`. Streamed: the SDK decodes the events; the answer is the response of the last one, as the SDK's own
accumulator gives it. Deltas must say the same text as that response, or the run fails.
"""

from __future__ import annotations

from typing import Any

import httpx2
import openai
from openai.types.responses import Response

from .openai_chat import message_of
from .record import Candidate, Recorded, cut, failure, reply, sse_lines, tool_from_text, usage

DIALECT = "openai-responses"
ENDPOINTS = {"responses"}

INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}


def frame_lines(events: list[str]) -> bytes:
    return sse_lines(events)


def parse(fixture: dict[str, Any], response: Recorded) -> dict[str, Any]:
    """What openai-python says of the recording."""
    streamed = "text/event-stream" in response.headers.get("content-type", "")

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(response.status, headers=response.headers, content=cut(response.body))

    client = openai.OpenAI(
        api_key="sk-none",
        base_url="http://recorded.invalid/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    said, last = "", None
    try:
        if not streamed:
            return of_response(client.responses.create(model="recorded", input="recorded"))
        for event in client.responses.create(model="recorded", input="recorded", stream=True):
            if event.type == "response.output_text.delta":
                said += event.delta
            elif event.type in ("response.completed", "response.incomplete"):
                last = event.response
    except openai.APIStatusError as error:
        return failure(
            sdk_class=type(error).__name__, status=error.status_code, type=error.type, code=error.code, message=message_of(error)
        )
    record = of_response(last)
    # The Codex backend leaves the output out of the last event.
    if last.output and record["text"] != [said]:
        raise AssertionError(f"the last event says {record['text']!r}, the deltas {said!r}")
    return record


def of_response(response: Response) -> dict[str, Any]:
    candidate = Candidate(finish=response.status)
    for item in response.output:
        if item.type == "message":
            for part in item.content:
                if part.type == "output_text":
                    candidate.text += part.text
                elif part.type == "refusal":
                    candidate.refusal += part.refusal
                else:
                    candidate.others.append(part.type)
        elif item.type == "reasoning":
            # The thought itself where the host shows it, else its summary.
            whole = "".join(part.text for part in item.content or [])
            candidate.reasoning += whole or "\n\n".join(part.text for part in item.summary)
        elif item.type == "function_call":
            candidate.tools.append(tool_from_text(item.call_id, item.name, item.arguments))
        else:
            candidate.others.append(item.type)
    if response.status == "incomplete":
        candidate.finish = response.incomplete_details.reason if response.incomplete_details else None
        candidate.finish_class = INCOMPLETE.get(candidate.finish or "", "other")
    elif response.status == "completed":
        candidate.finish_class = "tool_calls" if candidate.tools else "stop"
    return reply([candidate], usage_of(response))


def usage_of(response: Response) -> dict[str, int] | None:
    used = response.usage
    if used is None:
        return None
    of_input, of_output = used.input_tokens_details, used.output_tokens_details
    return usage(
        input_total=used.input_tokens,
        cached=(of_input.cached_tokens or 0) if of_input else 0,
        cache_write=(getattr(of_input, "cache_write_tokens", 0) or 0) if of_input else 0,
        output_total=used.output_tokens,
        reasoning=(of_output.reasoning_tokens or 0) if of_output else 0,
    )
