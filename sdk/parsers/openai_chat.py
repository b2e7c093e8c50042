"""Chat Completions through openai-python.

Non-streamed: `client.chat.completions.create`. Streamed: the SDK's `Stream` decodes the SSE, its `ChatCompletionStreamState` accumulates.
Where the state refuses a host's dialect extension (Mistral's list content, OpenRouter's nulls), the chunks the SDK decoded are
accumulated here by the same rules; where both work they must agree, or the run fails.
"""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from .record import Candidate, Recorded, Skip, cut, failure, reply, sse_lines, tool_from_text, usage

DIALECT = "openai-chat"
ENDPOINTS = {"chat.completions"}

FINISH = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}

# Where hosts report cached tokens beside `prompt_tokens_details`: Moonshot, Together and Hugging Face; DeepSeek; Mistral.
CACHED_ELSEWHERE = ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens")


def frame_lines(events: list[str]) -> bytes:
    return sse_lines(events, terminator="[DONE]")


def parse(fixture: dict[str, Any], response: Recorded) -> dict[str, Any]:
    """What openai-python says of the recording."""
    streamed = "text/event-stream" in response.headers.get("content-type", "")
    if response.status == 200 and not streamed and "choices" not in json.loads(response.body):
        raise Skip("status 200 with an error body, which the SDK takes for a completion without choices")

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(response.status, headers=response.headers, content=cut(response.body))

    client = openai.OpenAI(
        api_key="sk-none",
        base_url="http://recorded.invalid/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    messages: Any = [{"role": "user", "content": "recorded"}]
    chunks: list[ChatCompletionChunk] = []
    try:
        if not streamed:
            return of_completion(client.chat.completions.create(model="recorded", messages=messages))
        for chunk in client.chat.completions.create(model="recorded", messages=messages, stream=True):
            chunks.append(chunk)
    except openai.APIStatusError as error:
        return failure(
            sdk_class=type(error).__name__, status=error.status_code, type=error.type, code=error.code, message=message_of(error)
        )
    except openai.APIError as error:
        # An `error` payload inside a stream of status 200.
        record = failure(sdk_class=type(error).__name__, status=None, type=error.type, code=error.code, message=message_of(error))
        if chunks:
            record["partial"] = of_chunks(chunks)
        return record
    return of_chunks(chunks)


def message_of(error: openai.APIError) -> Any:
    body = error.body
    if isinstance(body, dict):
        return body.get("message") or body.get("detail")
    if isinstance(body, list) and body and isinstance(body[0], dict):
        return (body[0].get("error") or {}).get("message")
    return body if isinstance(body, str) else None


# === whole body ===


def of_completion(completion: ChatCompletion) -> dict[str, Any]:
    candidates = []
    for choice in completion.choices or []:
        message = choice.message
        extra = (message.model_extra or {}) if message else {}
        candidate = Candidate(finish=choice.finish_reason)
        add_content(candidate, message.content if message else None)
        candidate.reasoning += reasoning_of(extra)
        candidate.refusal = (message.refusal if message else None) or ""
        for call in (message.tool_calls if message else None) or []:
            function = getattr(call, "function", None)
            candidate.tools.append(
                tool_from_text(call.id, function.name if function else None, function.arguments if function else None)
            )
        old = message.function_call if message else None
        # Snowflake writes every member, empty where there is nothing to say.
        if old and (old.name or old.arguments):
            candidate.tools.append(tool_from_text(None, old.name, old.arguments))
        candidates.append(candidate)
    return reply(classed(candidates), usage_of(completion.usage, completion.model_extra or {}))


# === stream ===


def of_chunks(chunks: list[ChatCompletionChunk]) -> dict[str, Any]:
    record = reply(classed(collect(chunks)), last_usage(chunks))
    by_sdk = accumulated_by_sdk(chunks)
    if by_sdk is None:
        record["accumulated_by"] = "chunks"
        return record
    record["accumulated_by"] = "sdk"
    if by_sdk["usage"] is None:
        # Usage that only `x_groq` carries is in the chunks, not in what the state keeps.
        by_sdk["usage"] = record["usage"]
    for part in ("text", "tools", "finish", "usage"):
        if by_sdk[part] != record[part]:
            raise AssertionError(f"{part}: the SDK accumulates {by_sdk[part]!r}, its chunks say {record[part]!r}")
    return record


def accumulated_by_sdk(chunks: list[ChatCompletionChunk]) -> dict[str, Any] | None:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    try:
        for chunk in chunks:
            state.handle_chunk(chunk)
        snapshot = state.current_completion_snapshot
    except (AssertionError, TypeError, ValueError, AttributeError, KeyError, RuntimeError, openai.OpenAIError):
        return None
    return of_completion(snapshot)  # type: ignore[arg-type]


def collect(chunks: list[ChatCompletionChunk]) -> list[Candidate]:
    candidates: dict[int, Candidate] = {}
    calls: dict[int, dict[int, dict[str, str]]] = {}
    for chunk in chunks:
        for choice in chunk.choices or []:
            candidate = candidates.setdefault(choice.index or 0, Candidate())
            if choice.finish_reason:
                candidate.finish = choice.finish_reason
            delta = choice.delta
            if delta is None:
                continue
            add_content(candidate, delta.content)
            candidate.reasoning += reasoning_of(delta.model_extra or {})
            candidate.refusal += delta.refusal or ""
            of_choice = calls.setdefault(choice.index or 0, {})
            for position, piece in enumerate(delta.tool_calls or []):
                # A host that leaves the index out sends each call whole.
                index = piece.index if piece.index is not None else len(of_choice) + position
                call = of_choice.setdefault(index, {"id": "", "name": "", "arguments": ""})
                call["id"] = call["id"] or piece.id or ""
                if piece.function:
                    call["name"] += piece.function.name or ""
                    call["arguments"] += piece.function.arguments or ""
            if delta.function_call:
                # The form before `tool_calls`: one call, no id.
                call = of_choice.setdefault(0, {"id": "", "name": "", "arguments": ""})
                call["name"] += delta.function_call.name or ""
                call["arguments"] += delta.function_call.arguments or ""
    for index, candidate in candidates.items():
        for _, call in sorted(calls.get(index, {}).items()):
            candidate.tools.append(tool_from_text(call["id"], call["name"], call["arguments"]))
    return [candidate for _, candidate in sorted(candidates.items())]


def last_usage(chunks: list[ChatCompletionChunk]) -> dict[str, int] | None:
    last = None
    for chunk in chunks:
        last = usage_of(chunk.usage, chunk.model_extra or {}) or last
    return last


# === what both share ===


def add_content(candidate: Candidate, content: Any) -> None:
    """Content is text; Mistral sends a list of parts, of which `thinking` is reasoning."""
    if isinstance(content, str):
        candidate.text += content
    elif isinstance(content, list):
        for part in content:
            kind = part.get("type")
            if kind == "text":
                candidate.text += part.get("text") or ""
            elif kind == "thinking":
                candidate.reasoning += "".join(t.get("text") or "" for t in part.get("thinking") or [] if isinstance(t, dict))
            else:
                candidate.others.append(str(kind))


def reasoning_of(extra: dict[str, Any]) -> str:
    """Reasoning is no field of the SDK's types: hosts put it under one of these names, and OpenRouter under the last two at once."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(extra.get(name), str) and extra[name]:
            return extra[name]
    details = extra.get("reasoning_details")
    if isinstance(details, list):
        return "".join(d.get("text") or d.get("summary") or "" for d in details if isinstance(d, dict))
    return ""


def usage_of(used: Any, extra: dict[str, Any]) -> dict[str, int] | None:
    """Prompt tokens include the cached ones and completion tokens include reasoning, with one exception.

    xAI's completion tokens exclude reasoning, and its total says so (prompt + completion + reasoning = total): there, and only where the
    total says so, reasoning is added to `output_total`. A total that exceeds its parts without naming them (Gemini's compatible endpoint
    leaves its thoughts out of both) is left as the fields say.
    """
    if used is None:
        # Groq also reports under its own name in a stream.
        own = (extra.get("x_groq") or {}).get("usage")
        if not own:
            return None
        return usage(
            input_total=own.get("prompt_tokens") or 0,
            cached=(own.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            cache_write=0,
            output_total=own.get("completion_tokens") or 0,
            reasoning=(own.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0,
        )
    prompt, completion, own = used.prompt_tokens_details, used.completion_tokens_details, used.model_extra or {}
    cached = (prompt.cached_tokens if prompt else None) or first(own, CACHED_ELSEWHERE)
    reasoning = (completion.reasoning_tokens if completion else None) or own.get("reasoning_tokens") or 0
    output_total = used.completion_tokens or 0
    if reasoning and used.total_tokens == (used.prompt_tokens or 0) + output_total + reasoning:
        output_total += reasoning
    return usage(
        input_total=used.prompt_tokens or 0,
        cached=cached,
        cache_write=(prompt.cache_write_tokens if prompt else None) or 0,
        output_total=output_total,
        reasoning=reasoning,
    )


def first(fields: dict[str, Any], names: tuple[str, ...]) -> int:
    return next((fields[name] for name in names if fields.get(name)), 0)


def classed(candidates: list[Candidate]) -> list[Candidate]:
    """Snowflake sends an empty finish reason: nothing is said, so nothing is expected."""
    for candidate in candidates:
        candidate.finish_class = FINISH.get(candidate.finish, "other") if candidate.finish else None
    return candidates
