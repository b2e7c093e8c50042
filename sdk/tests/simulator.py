"""The simulator's control API and the prompts that it obeys.

`[[sim {…}]]` in the last user message says what the answer is to be: `say`, `deltas` (the words w1 w2 …, one per delta), `pace_ms`,
`fault`. Without it the answer is `Simulated answer from MODEL: N messages, M images. You said: TEXT`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx

POLL_SECONDS = 0.02


class Simulator:
    """Reads what the simulated clouds received and sent."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=5.0, trust_env=False)

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def exchanges(self, word: str) -> list[dict[str, Any]]:
        """The exchanges whose request body holds `word`, oldest first, on whatever cloud."""
        found = self._http.get("/journal", params={"limit": 500}).raise_for_status().json()
        return [record for record in found if word in (record.get("body") or "")]

    def the_exchange(self, word: str, until: Callable[[dict[str, Any]], bool] | None = None, seconds: float = 2.0) -> dict[str, Any]:
        """The one exchange whose body holds `word`, once it is finished and `until` holds. More than one, or none in time, is a failure."""
        ends = time.monotonic() + seconds
        while True:
            found = self.exchanges(word)
            assert len(found) <= 1, f"{len(found)} upstream requests for one call: {[r['cloud'] for r in found]}"
            if found and found[0]["finished_at"] is not None and (until is None or until(found[0])):
                return found[0]
            assert time.monotonic() < ends, f"the simulator's journal has no such exchange after {seconds} s: {found}"
            time.sleep(POLL_SECONDS)


def directed(**directive: Any) -> str:
    """A prompt that the simulator obeys."""
    return f"[[sim {json.dumps(directive)}]]"
