"""Gemini generateContent and streamGenerateContent through google-genai, as AI Studio or as Vertex after the fixture's provider.

The SDK's own HTTP layer reads the body (its SSE reader too, for streams); its converters make `GenerateContentResponse` objects.
The SDK has no accumulator for a stream, so its chunks are added up here: parts per candidate in order, the last usage that was sent.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from .record import Candidate, Recorded, Skip, cut, failure, reply, sse_lines, tool, usage

DIALECT = "gemini"
ENDPOINTS = {"generateContent", "streamGenerateContent"}

FILTERED = {
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
}


def frame_lines(events: list[str]) -> bytes:
    return sse_lines(events)


def parse(fixture: dict[str, Any], response: Recorded) -> dict[str, Any]:
    """What google-genai says of the recording."""
    streamed = fixture["endpoint"] == "streamGenerateContent"
    body, headers, notes = response.body, dict(response.headers), {}
    if streamed and response.status == 200 and "json" in headers["content-type"]:
        # Recorded without alt=sse: a JSON array of chunks. The SDK always asks for SSE, so each element becomes one event.
        body = sse_lines([json.dumps(chunk, ensure_ascii=False) for chunk in json.loads(body)])
        headers["content-type"] = "text/event-stream"
        notes["array_as_events"] = True
    if response.status == 200 and not streamed and "error" in json.loads(body):
        raise Skip("an error body under status 200 (the recorder made the status up), which the SDK takes for an empty reply")

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(response.status, headers=headers, content=cut(body))

    options = types.HttpOptions(
        base_url="http://recorded.invalid", httpx_client=httpx.Client(transport=httpx.MockTransport(answer))
    )
    if fixture["provider"] == "vertex":
        client = genai.Client(
            vertexai=True, project="recorded", location="global", credentials=Credentials(token="recorded"), http_options=options
        )
    else:
        client = genai.Client(api_key="none", http_options=options)
    try:
        if streamed:
            replies = list(client.models.generate_content_stream(model="gemini-recorded", contents="recorded"))
        else:
            replies = [client.models.generate_content(model="gemini-recorded", contents="recorded")]
    except errors.APIError as error:
        return failure(
            sdk_class=type(error).__name__, status=error.code, type=error.status, code=error.code, message=error.message
        )
    return {**of_replies(replies), **notes}


def of_replies(replies: list[types.GenerateContentResponse]) -> dict[str, Any]:
    candidates: dict[int, Candidate] = {}
    used = None
    blocked = None
    for one in replies:
        used = one.usage_metadata or used
        if one.prompt_feedback and one.prompt_feedback.block_reason:
            blocked = name_of(one.prompt_feedback.block_reason)
        for found in one.candidates or []:
            candidate = candidates.setdefault(found.index or 0, Candidate())
            if found.finish_reason:
                candidate.finish = name_of(found.finish_reason)
            for part in (found.content.parts if found.content else None) or []:
                add_part(candidate, part)
    if blocked and not candidates:
        candidates[0] = Candidate(finish=blocked, finish_class="content_filter")
    for candidate in candidates.values():
        candidate.finish_class = candidate.finish_class or class_of(candidate)
    return reply([candidate for _, candidate in sorted(candidates.items())], usage_of(used))


def add_part(candidate: Candidate, part: types.Part) -> None:
    if part.function_call:
        candidate.tools.append(tool(part.function_call.id, part.function_call.name, part.function_call.args or {}))
    elif part.text is not None:
        if part.thought:
            candidate.reasoning += part.text
        else:
            candidate.text += part.text
    else:
        names = [k for k, v in part.model_dump(exclude_none=True).items() if k not in ("thought", "thought_signature")]
        candidate.others.extend(names)


def class_of(candidate: Candidate) -> str | None:
    """STOP is said of a turn that calls tools, too."""
    if candidate.finish is None:
        return None
    if candidate.finish == "STOP":
        return "tool_calls" if candidate.tools else "stop"
    if candidate.finish == "MAX_TOKENS":
        return "length"
    return "content_filter" if candidate.finish in FILTERED else "other"


def name_of(value: Any) -> str:
    return value.value if hasattr(value, "value") else str(value)


def usage_of(used: types.GenerateContentResponseUsageMetadata | None) -> dict[str, int] | None:
    """Cached tokens are inside the prompt count; thoughts are outside the candidates count, tool-use prompts outside the prompt count."""
    if used is None:
        return None
    thoughts = used.thoughts_token_count or 0
    return usage(
        input_total=(used.prompt_token_count or 0) + (used.tool_use_prompt_token_count or 0),
        cached=used.cached_content_token_count or 0,
        cache_write=0,
        output_total=(used.candidates_token_count or 0) + thoughts,
        reasoning=thoughts,
    )
