"""The neutral record of one reply, and the recorded response as bytes.

Knows what all vendors share: the shape of a record, the finish classes, how a fixture's body becomes the bytes that were on the wire.
Everything that one vendor means by a field stands in that vendor's module.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

# Headers that described the recorded transfer and would be untrue of the replayed one.
TRANSFER_HEADERS = {"content-length", "content-encoding", "transfer-encoding", "connection"}


class Skip(Exception):
    """The fixture has no expected value; the message says why."""


@dataclass
class Candidate:
    """One choice or candidate, being collected."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tools: list[dict[str, Any]] = field(default_factory=list)
    finish: str | None = None
    finish_class: str | None = None
    # What the reply holds beside text, reasoning and client tools, as block or part types in order of arrival.
    others: list[str] = field(default_factory=list)


def tool(identity: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    """A tool call whose arguments the SDK gives as an object."""
    record: dict[str, Any] = {"name": name, "arguments": arguments}
    if identity:
        record["id"] = identity
    return record


def tool_from_text(identity: str | None, name: str | None, text: str | None) -> dict[str, Any]:
    """A tool call whose arguments the SDK gives as text. Empty text is an empty object; text that is not JSON is kept under `arguments_raw`."""
    if not (text or "").strip():
        return tool(identity, name, {})
    try:
        return tool(identity, name, json.loads(text))
    except ValueError:
        record = tool(identity, name, None)
        record["arguments_raw"] = text
        return record


def usage(*, input_total: int, cached: int, cache_write: int, output_total: int, reasoning: int) -> dict[str, int]:
    """Usage in one meaning for all: `cached` and `cache_write` are parts of `input_total`, `reasoning` is a part of `output_total`."""
    return {
        "input_total": input_total,
        "cached": cached,
        "cache_write": cache_write,
        "output_total": output_total,
        "reasoning": reasoning,
    }


def reply(candidates: list[Candidate], used: dict[str, int] | None) -> dict[str, Any]:
    """The record of a reply that the SDK accepted."""
    record: dict[str, Any] = {
        "ok": True,
        "text": [c.text for c in candidates],
        "reasoning": "".join(c.reasoning for c in candidates),
        "tools": [c.tools for c in candidates],
        "finish": [c.finish for c in candidates],
        "finish_class": [c.finish_class for c in candidates],
        "usage": used,
    }
    if any(c.refusal for c in candidates):
        record["refusal"] = [c.refusal for c in candidates]
    if any(c.others for c in candidates):
        record["others"] = [c.others for c in candidates]
    return record


def failure(*, sdk_class: str, status: int | None, type: Any = None, code: Any = None, message: Any = None) -> dict[str, Any]:
    """The record of a reply that the SDK raised as an error."""
    return {
        "ok": False,
        "error": {"sdk_class": sdk_class, "status": status, "type": type, "code": code, "message": message},
    }


@dataclass
class Recorded:
    """A recorded response, ready to be replayed."""

    status: int
    headers: dict[str, str]
    body: bytes
    # The body's framing was stripped by the recorder and put back by us.
    reframed: bool


def recorded(fixture: dict[str, Any], frame_lines) -> Recorded:
    """The response of a fixture as bytes; `frame_lines` puts framing back around the payloads of an `event-lines` body."""
    response = fixture.get("response")
    if not response or "status" not in response:
        raise Skip("no response recorded")
    headers = {k.lower(): v for k, v in (response.get("headers") or {}).items() if k.lower() not in TRANSFER_HEADERS}
    kind = response.get("body_kind")
    reframed = False
    if kind == "json":
        body = json.dumps(response["json"], ensure_ascii=False).encode()
        default_type = "application/json"
    elif kind in ("sse", "text", "ndjson"):
        body = response["text"].encode()
        default_type = "text/event-stream" if kind == "sse" else "text/plain"
    elif kind == "eventstream":
        import base64

        body = base64.b64decode(response["base64"])
        default_type = "application/vnd.amazon.eventstream"
    elif kind == "event-lines":
        body = frame_lines(response["events"])
        default_type = "text/event-stream"
        reframed = True
    else:
        raise Skip(f"body kind {kind!r} is not known")
    headers.setdefault("content-type", default_type)
    return Recorded(int(response["status"]), headers, body, reframed)


def sse_lines(events: list[str], terminator: str | None = None) -> bytes:
    """Server-sent events around bare payloads; `terminator` is the last payload where the vendor sends one and the recorder dropped it."""
    payloads = list(events)
    if terminator is not None and (not payloads or payloads[-1] != terminator):
        payloads.append(terminator)
    return "".join(f"data: {payload}\n\n" for payload in payloads).encode()


def cut(body: bytes, size: int = 1021):
    """The body in pieces of a size that falls across lines, frames and UTF-8 sequences."""
    for start in range(0, len(body), size):
        yield body[start : start + size]
