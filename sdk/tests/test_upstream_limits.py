"""The upstream's rate limit. The last file: a deployment that said Retry-After is rightly avoided for that long."""

from __future__ import annotations

import openai
import pytest
from conftest import Target, user
from simulator import directed


def test_rate_limited(client: openai.OpenAI, target: Target, nonce: str) -> None:
    """With no other candidate the caller is told 429, and how long to wait."""
    limited = directed(fault={"kind": "status", "status": 429, "headers": {"retry-after": "1"}})
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model=target.model, messages=[user(f"{nonce} {limited}")])
    assert raised.value.code in ("rate_limit_exceeded", "insufficient_quota")
    assert 0 < float(raised.value.response.headers["retry-after"]) <= 2
