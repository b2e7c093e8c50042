#!/usr/bin/env python3
"""What each vendor's own SDK says of every recorded chat reply: the expected values of the decode tests.

    oracle.py FIXTURES_DIR OUT_JSON

Reads the fixtures of the endpoints `chat.completions`, `responses`, `messages`, `generateContent`, `streamGenerateContent`, `converse`
and `converse-stream`, replays each response into the vendor's SDK over a stubbed transport (no socket is opened) and writes one record per
fixture. The output is deterministic: same fixtures and same requirements.txt, same bytes. The format stands in README.md.

Normalisations, all of them (each is explained where it is done, in `parsers/`):

- Body. JSON bodies are re-serialised; the recorders kept the value, not the bytes. `event-lines` get their framing back: `data:` lines for
  SSE (with `[DONE]` for openai-chat), frames with CRCs for the AWS event stream. Bodies are fed in pieces of 1021 bytes.
- Gemini's `streamGenerateContent` without `alt=sse` (a JSON array) is fed as one event per element.
- `text` is what a user sees: refusals are apart, reasoning is apart. Anthropic: `text` blocks. Gemini: text parts that are no thoughts.
  Converse: `text` and the content of `citationsContent`. Mistral's list content: its `text` parts.
- `reasoning`: `reasoning_content`, else `reasoning`, else the texts of `reasoning_details` (openai-chat hosts; one of them, never two);
  Mistral's `thinking` parts; Anthropic `thinking` blocks; Gemini thought parts; Converse `reasoningContent` text. All candidates together.
- `tools` are the calls that the client must run. Server-side tools (Anthropic `server_tool_use`, Converse `server_tool_use`, Gemini's
  built-in tools) are listed in `others`. Arguments are parsed; empty text is `{}`; text that is not JSON stands in `arguments_raw`.
- `finish` is the vendor's word. `finish_class` is one of stop, length, tool_calls, content_filter, other; null where the vendor said
  nothing (no terminal chunk, or Snowflake's empty string). Gemini says STOP of a turn with function calls: tool_calls. A Gemini prompt
  that was blocked is one candidate without text, finish = the block reason, content_filter. Anthropic and Converse
  `model_context_window_exceeded`: length. Responses say completed of a turn with calls: tool_calls. Anthropic `refusal`, Converse guardrails and filters: content_filter.
- `usage`: `input_total` includes `cached` and `cache_write`; `output_total` includes `reasoning`.
  Anthropic, Converse: input + cache read + cache write. Gemini: prompt + tool-use prompt; candidates + thoughts. openai-chat: as the
  fields say, but reasoning is added to completion where the total says that it is outside (xAI). In a stream the last usage wins, none
  are added. null where the reply had none.
- `error`: what the SDK raised. `status` is the SDK's (null for an error inside a stream of status 200, whose earlier part is `partial`).
  `code` is null for Converse where the recorder stripped x-amzn-errortype.

A fixture without an expected value is named in `skipped` with the reason. Exit 1 when a parser fails otherwise, or when a fixture listed
in index.json is neither expected, skipped nor of another endpoint.
"""

from __future__ import annotations

import collections
import importlib.metadata
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from parsers import anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses
from parsers.record import Skip, recorded

PARSERS = (openai_chat, openai_responses, anthropic_messages, gemini, bedrock_converse)
BY_ENDPOINT = {endpoint: parser for parser in PARSERS for endpoint in parser.ENDPOINTS}
SDKS = ("openai", "anthropic", "google-genai", "boto3", "botocore")


def forget_the_machine() -> None:
    """The SDKs look for keys, regions, proxies and profiles in the environment; an expected value must not depend on them."""
    for name in list(os.environ):
        if name.upper().startswith(("AWS_", "GOOGLE_", "GEMINI_", "OPENAI_", "ANTHROPIC_")) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def expectation(fixture: dict[str, Any], path: str) -> dict[str, Any]:
    """The record of one fixture. Raises `Skip` where there is none."""
    parser = BY_ENDPOINT[fixture["endpoint"]]
    response = recorded(fixture, parser.frame_lines)
    return {
        "dialect": parser.DIALECT,
        "provider": fixture["provider"],
        "path": path,
        "stream": fixture["stream"],
        "status": response.status,
        **parser.parse(fixture, response),
    }


def main(fixtures: Path, out: Path) -> int:
    forget_the_machine()
    expected: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    failed: list[str] = []
    index = json.loads((fixtures / "index.json").read_text())
    wanted = {entry["id"] for entry in index if entry["endpoint"] in BY_ENDPOINT}
    for file in sorted(fixtures.glob("*/*.json")):
        fixture = json.loads(file.read_text())
        if fixture["endpoint"] not in BY_ENDPOINT:
            continue
        try:
            expected[fixture["id"]] = expectation(fixture, str(file.relative_to(fixtures)))
        except Skip as reason:
            skipped[fixture["id"]] = str(reason)
        except Exception:  # each failure is shown with its fixture, and the run goes on
            failed.append(fixture["id"])
            print(f"FAILED {file}\n{traceback.format_exc()}", file=sys.stderr)
    lost = wanted - expected.keys() - skipped.keys() - set(failed)
    document = {
        "sdks": {name: importlib.metadata.version(name) for name in SDKS},
        "fixtures": expected,
        "skipped": skipped,
    }
    out.write_text(json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    report(expected, skipped, failed, lost)
    return 1 if failed or lost else 0


def report(expected: dict[str, Any], skipped: dict[str, str], failed: list[str], lost: set[str]) -> None:
    counts = collections.Counter((r["dialect"], "stream" if r["stream"] else "whole", "ok" if r["ok"] else "error") for r in expected.values())
    for (dialect, form, outcome), count in sorted(counts.items()):
        print(f"{count:4}  {dialect}, {form}, {outcome}")
    for identity, reason in sorted(skipped.items()):
        print(f"skip  {identity}: {reason}")
    print(f"{len(expected)} expected, {len(skipped)} skipped, {len(failed)} failed, {len(lost)} of the index not found")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: oracle.py FIXTURES_DIR OUT_JSON")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
