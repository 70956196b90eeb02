"""A provider that is down for all prompt work of a run: everybody waits at once, and the user is told once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nadg.domain.assignment import Whole
from nadg.domain.clock import SystemClock
from nadg.domain.errors import ModelUnavailable
from nadg.domain.plan import PromptWork
from nadg.link.blobfolder import BlobFolder
from nadg.models.fake_door import FakeDoor
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.prompt_engine import PromptEngine
from nadg.orchestrator.prompt_parts import PromptAssignment
from tests.orchestrator.accounts import SilentAccount
from tests.orchestrator.test_prompt_engine import Sink

ATTEMPTS = 5


def test_attempts_wait_together_whatever_the_concurrency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five attempts, one question at a time: none waits for the pause of another."""
    everybody_waits, waiting = asyncio.Event(), 0

    async def pause(seconds: float) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == ATTEMPTS:
            everybody_waits.set()
        await everybody_waits.wait()

    monkeypatch.setattr("nadg.orchestrator.prompt_engine.asyncio.sleep", pause)
    account, sink = SilentAccount("r"), Sink()

    async def inside() -> None:
        access = ModelAccess(
            door=FakeDoor([ModelUnavailable("google is down")] * ATTEMPTS), account=account, concurrency=1
        )
        work = PromptWork(kind="prompt", prompt="Say it.")
        async with PromptEngine(access, BlobFolder(tmp_path), SystemClock(), on_budget_spent=print) as engine:
            for index in range(ATTEMPTS):
                attempt = f"r/ask/{index}/1"
                asked = PromptAssignment(
                    attempt_id=attempt, subtask_id="ask", work=work, piece=Whole(), tries_left=True
                )
                await engine.submit(asked, sink)
            async with asyncio.timeout(20):
                await asyncio.gather(*engine.under_way())

    asyncio.run(inside())
    assert len(sink.events) >= ATTEMPTS
    assert account.notices == ["google is down; trying again in 5 s"]
