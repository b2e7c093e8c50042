"""Bedrock Converse and ConverseStream through boto3.

A `before-send` handler answers in place of the network, so botocore's own parser reads the body and its own EventStream the frames.
The SDK has no accumulator for a stream, so its events are added up here by content block.
"""

from __future__ import annotations

import functools
import io
import json
import struct
import zlib
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from botocore.parsers import ResponseParserError

from .record import Candidate, Recorded, Skip, cut, failure, reply, tool, tool_from_text, usage

DIALECT = "bedrock-converse"
ENDPOINTS = {"converse", "converse-stream"}

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}


def frame_lines(events: list[str]) -> bytes:
    """Event-stream frames around bare `{eventType: payload}` lines."""
    frames = b""
    for event in events:
        ((kind, payload),) = json.loads(event).items()
        frames += frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, json.dumps(payload).encode())
    return frames


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of application/vnd.amazon.eventstream: prelude, its CRC, headers (type 7, string), payload, CRC of all."""
    packed = b"".join(
        struct.pack("!B", len(k)) + k.encode() + struct.pack("!BH", 7, len(v)) + v.encode() for k, v in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack("!I", zlib.crc32(message))


class Raw(io.BytesIO):
    """As much of urllib3's response as botocore reads."""

    def stream(self, amt: int = 1024, **_: Any):
        yield from cut(self.getvalue())


def parse(fixture: dict[str, Any], response: Recorded) -> dict[str, Any]:
    """What boto3 says of the recording."""
    streamed = fixture["endpoint"] == "converse-stream"
    headers = dict(response.headers)
    if response.reframed:
        headers["content-type"] = "application/vnd.amazon.eventstream"

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, response.status, headers, Raw(response.body))

    client = offline_client()
    client.meta.events.register("before-send.bedrock-runtime", answer, unique_id="recorded")
    wanted: Any = {"modelId": "recorded", "messages": [{"role": "user", "content": [{"text": "recorded"}]}]}
    events: list[dict[str, Any]] = []
    try:
        if not streamed:
            return of_reply(client.converse(**wanted))
        for event in client.converse_stream(**wanted)["stream"]:
            events.append(event)
    except ResponseParserError as error:
        raise Skip(f"botocore refuses the body: {error}") from error
    except EventStreamError as error:
        record = of_client_error(error)
        if events:
            record["partial"] = of_events(events)
        return record
    except ClientError as error:
        return of_client_error(error)
    finally:
        client.meta.events.unregister("before-send.bedrock-runtime", unique_id="recorded")
    return of_events(events)


@functools.cache
def offline_client() -> Any:
    """One client for all fixtures: botocore takes 100 ms to load the service's model."""
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1}),
    )


def of_client_error(error: ClientError) -> dict[str, Any]:
    inner = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    # Without x-amzn-errortype (some recorders strip it) botocore puts the status where the code belongs.
    code = None if inner.get("Code") == str(status) else inner.get("Code")
    return failure(sdk_class=type(error).__name__, status=status, code=code, message=inner.get("Message"))


# === whole body ===


def of_reply(found: dict[str, Any]) -> dict[str, Any]:
    candidate = Candidate(finish=found.get("stopReason"))
    for block in found["output"]["message"]["content"]:
        if "text" in block:
            candidate.text += block["text"]
        elif "citationsContent" in block:
            candidate.text += "".join(part.get("text", "") for part in block["citationsContent"].get("content", []))
            candidate.others.append("citationsContent")
        elif "reasoningContent" in block:
            add_reasoning(candidate, block["reasoningContent"].get("reasoningText", {}).get("text", ""), block["reasoningContent"])
        elif "toolUse" in block and block["toolUse"].get("type") != "server_tool_use":
            candidate.tools.append(tool(block["toolUse"]["toolUseId"], block["toolUse"]["name"], block["toolUse"]["input"]))
        else:
            candidate.others.extend(block)
    return reply([classed(candidate)], usage_of(found.get("usage")))


# === stream ===


def of_events(events: list[dict[str, Any]]) -> dict[str, Any]:
    candidate = Candidate()
    calls: dict[int, dict[str, str]] = {}
    used = None
    for event in events:
        if "contentBlockStart" in event:
            start, index = event["contentBlockStart"].get("start", {}), event["contentBlockStart"]["contentBlockIndex"]
            call = start.get("toolUse")
            if call and call.get("type") != "server_tool_use":
                calls[index] = {"id": call["toolUseId"], "name": call["name"], "input": ""}
            else:
                candidate.others.extend(start)
        elif "contentBlockDelta" in event:
            delta, index = event["contentBlockDelta"]["delta"], event["contentBlockDelta"]["contentBlockIndex"]
            candidate.text += delta.get("text", "")
            if "reasoningContent" in delta:
                add_reasoning(candidate, delta["reasoningContent"].get("text", ""), delta["reasoningContent"])
            if "toolUse" in delta and index in calls:
                calls[index]["input"] += delta["toolUse"].get("input", "")
            if "citation" in delta:
                candidate.others.append("citation")
        elif "messageStop" in event:
            candidate.finish = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            used = event["metadata"].get("usage", used)
    for _, call in sorted(calls.items()):
        candidate.tools.append(tool_from_text(call["id"], call["name"], call["input"]))
    return reply([classed(candidate)], usage_of(used))


# === what both share ===


def add_reasoning(candidate: Candidate, text: str, content: dict[str, Any]) -> None:
    candidate.reasoning += text
    if "redactedContent" in content:
        candidate.others.append("redactedContent")


def classed(candidate: Candidate) -> Candidate:
    if candidate.finish is not None:
        candidate.finish_class = FINISH.get(candidate.finish, "other")
    return candidate


def usage_of(used: dict[str, Any] | None) -> dict[str, int] | None:
    """`inputTokens` excludes both what was read from and what was written to the cache; reasoning is not told apart."""
    if not used:
        return None
    read, written = used.get("cacheReadInputTokens") or 0, used.get("cacheWriteInputTokens") or 0
    return usage(
        input_total=used["inputTokens"] + read + written,
        cached=read,
        cache_write=written,
        output_total=used["outputTokens"],
        reasoning=0,
    )
