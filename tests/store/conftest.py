"""A clock that moves when told, runs to store, and a store that is thrown away."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from nadg.domain.clock import Clock
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import NewRun
from nadg.store import SqlStore, open_store


class _ManualClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime.datetime:
        return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return _ManualClock()


@pytest.fixture
def advance(clock: Clock) -> Callable[[float], None]:
    """Let seconds pass."""

    def advance(seconds: float) -> None:
        assert isinstance(clock, _ManualClock)
        clock.seconds += seconds

    return advance


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "nadg.db"


@pytest.fixture
def opened(database: Path, clock: Clock) -> Callable[[], AbstractAsyncContextManager[SqlStore]]:
    """Open the test's store."""
    return lambda: open_store(database, clock)


@pytest.fixture
def new_run() -> Callable[..., NewRun]:
    """A run with the given subtasks; ids count up."""
    numbers = itertools.count(1)

    def new_run(*subtask_ids: str, run_id: str = "") -> NewRun:
        parts = tuple(
            Subtask(id=one, title=f"Part {one}", work=PythonWork(kind="python", code="result = 1"))
            for one in subtask_ids or ("a",)
        )
        plan = Plan(goal="try", subtasks=parts)
        return NewRun(id=run_id or f"run{next(numbers):04}", command="try it", planner="file", plan=plan)

    return new_run
