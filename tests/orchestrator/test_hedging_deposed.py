"""A master that is deposed right when one of two attempts was quicker: the next one finds both ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from nadg.domain.assignment import Assignment
from nadg.domain.changes import AttemptChanged, Change
from nadg.domain.errors import LeaseLost
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, PythonWork, Subtask
from nadg.domain.run import Lease
from nadg.domain.states import AttemptState
from nadg.engines.fake import FakeEngine, Say, create_fake_outcome
from nadg.orchestrator import hedge_watch, hedging
from nadg.store.api import Runs
from tests.orchestrator.owners import CLOCK, CutStore, open_owners, wait_until

FIRST, SECOND = "run1/a/0/1", "run1/a/0/2"
EACH = Foreach(items=[0, 1, 2, 3], shard_size=1)
PLAN = Plan(subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="result = 1"), foreach=EACH),))


class LosesToTheSlow(CutStore):
    """Deposed when the second attempt's outcome is to be stored, while that of the first one comes in too."""

    def __init__(self, runs: Runs, engine: FakeEngine, first: asyncio.Event) -> None:
        super().__init__(runs, 0, after=False)
        self._runs, self._engine, self._first = runs, engine, first

    async def commit(self, lease: Lease, changes: Sequence[Change]) -> int:
        for one in changes:
            if isinstance(one, AttemptChanged) and (one.attempt_id, one.state) == (SECOND, AttemptState.SUCCEEDED):
                self._first.set()
                await wait_until(lambda: FIRST in self._engine.workers.kept)
                raise LeaseLost("deposed")
        return await super().commit(lease, changes)


def test_neither_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hedge_watch, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(hedging, "MIN_BOUND_SECONDS", 0.05)

    async def body() -> None:
        first = asyncio.Event()

        async def carry(assignment: Assignment, say: Say) -> Outcome:
            if assignment.attempt_id == FIRST:
                await first.wait()
            return create_fake_outcome(assignment, CLOCK, result=b"[1]", per_item=True)

        async with open_owners(tmp_path, carry) as owners, FakeEngine.over(owners.workers) as engine:
            store = LosesToTheSlow(owners.store.runs, engine, first)
            loop, _ = await owners.first(engine, PLAN, store=store)
            with pytest.raises(LeaseLost, match="deposed"):
                await asyncio.wait_for(loop.run(), 20)
            assert set(owners.workers.kept) == {FIRST, SECOND}

    asyncio.run(body())
