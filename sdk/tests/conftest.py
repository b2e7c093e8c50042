"""What every case needs: the targets, clients of the running gateway, the simulator's journal, prompts that cannot be guessed.

    CABOTAGE_BASE_URL     the gateway's OpenAI surface (default http://127.0.0.1:8080/v1)
    CABOTAGE_API_KEY      a key that may pin deployments (default sk-demo)
    CABOTAGE_ADMIN        the admin listener (default http://127.0.0.1:8081)
    CABOTAGE_SIM_URL      the simulator's control API; without it the cases that ask its journal are skipped
    CABOTAGE_SDK_TARGETS  comma-separated names of targets.json, each optionally `name:model` (default: all)
    CABOTAGE_SDK_STRICT   set: a skip fails the run
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

from simulator import Simulator

BASE_URL = os.environ.get("CABOTAGE_BASE_URL", "http://127.0.0.1:8080/v1")
API_KEY = os.environ.get("CABOTAGE_API_KEY", "sk-demo")
ADMIN_URL = os.environ.get("CABOTAGE_ADMIN", "http://127.0.0.1:8081")
SIM_URL = os.environ.get("CABOTAGE_SIM_URL")
SECONDS_MAX = 8.0


@dataclass(frozen=True)
class Target:
    """One deployment, and the simulated cloud that must be seen to serve it."""

    name: str
    alias: str
    deployment: str
    cloud: str
    # Whether this target can give more than one candidate.
    candidates: bool
    # Whether its model can be made to call a tool.
    forced: bool
    # Whether its model obeys a JSON schema (by itself, or through a forced tool).
    schema: bool
    # Whether its API ends an answer at a text; where it does not, that is a named loss.
    stops: bool
    # The least limit of an answer's tokens that its API takes.
    least_tokens: int
    # Parameters that keep a model which always thinks aloud from doing so, where a case counts tokens or deltas.
    quiet: dict[str, str]

    @property
    def model(self) -> str:
        """The model with its deployment pinned, as a caller who may do so writes it."""
        return f"{self.alias}@{self.deployment}"


def chosen_targets() -> list[Target]:
    """The targets of CABOTAGE_SDK_TARGETS; an unknown name is an error, not an empty run."""
    rows = json.loads((Path(__file__).parent / "targets.json").read_text())
    wanted = os.environ.get("CABOTAGE_SDK_TARGETS") or ",".join(rows)
    targets = []
    for item in filter(None, (part.strip() for part in wanted.split(","))):
        name, _, model = item.partition(":")
        if name not in rows:
            raise pytest.UsageError(f"CABOTAGE_SDK_TARGETS: no target {name!r}; there are {', '.join(rows)}")
        row = rows[name]
        targets.append(Target(name, model or row["model"], row["deployment"], row["cloud"], row["candidates"], row["forced"], row["schema"], row.get("stops", True), row.get("least_tokens", 3), row.get("quiet", {})))
    return targets


def user(text: str) -> dict[str, str]:
    """A user's message."""
    return {"role": "user", "content": text}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        targets = chosen_targets()
        metafunc.parametrize("target", targets, ids=[target.name for target in targets])


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if not os.environ.get("CABOTAGE_SDK_STRICT") or exitstatus != 0:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def client() -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=SECONDS_MAX) as made:
        yield made


@pytest.fixture
async def async_client() -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=SECONDS_MAX) as made:
        yield made


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    if not SIM_URL:
        pytest.skip("CABOTAGE_SIM_URL is not set: nobody to ask what the upstream saw")
    with Simulator(SIM_URL) as made:
        yield made


@pytest.fixture
def nonce() -> str:
    """A word that no earlier answer can hold."""
    return f"n{secrets.token_hex(6)}"
