"""Whatever commits meet whatever faults: in the end each is in the event log once, in order."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain.assignment import Whole
from nadg.domain.changes import Change, RunChanged, ShardsAdded
from nadg.domain.clock import SystemClock
from nadg.domain.errors import IllegalTransition
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import Lease, NewRun
from nadg.domain.states import RunState
from nadg.store import SqlStore, open_store
from tests.store.faults import AFTER, BEFORE, Fault, open_door
from tests.support.postgres import Server

RUNS = 3
PLAN = Plan(subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="1")),))


class Ask(msgspec.Struct, frozen=True):
    """A commit that somebody makes: so many shards, or one that no table allows."""

    run: int
    shards: int
    refused: bool = False
    cancelled: bool = False
    """Its caller goes away at once."""


_asks = st.builds(
    Ask,
    run=st.integers(0, RUNS - 1),
    shards=st.integers(0, 3),
    refused=st.sampled_from([False] * 6 + [True]),
    cancelled=st.sampled_from([False] * 8 + [True]),
)
_bursts = st.lists(st.lists(_asks, max_size=5), min_size=1, max_size=6)
"""Commits of a burst are under way at the same time."""
_statements = st.builds(Fault, st.just("statement"), st.integers(0, 8))
_faults = st.lists(st.one_of(st.just(AFTER), st.just(BEFORE), st.none(), _statements), max_size=30)


class _Writers:
    """Callers of a store, and what they were told."""

    def __init__(self, store: SqlStore, leases: Sequence[Lease]) -> None:
        self._store, self._leases = store, leases
        self._next = [0] * RUNS
        self.told: list[list[Change]] = [[] for _ in leases]
        """By run, what was answered as written, in order."""
        self.unheard: list[list[Change]] = [[] for _ in leases]
        """By run, what callers wrote that went away."""
        self.last: list[dict[int, Change]] = [{} for _ in leases]
        """By run, the last change of each commit, by the number it was told."""

    async def burst(self, asks: Sequence[Ask]) -> None:
        tasks = [asyncio.create_task(self._commit(ask)) for ask in asks]
        await asyncio.sleep(0)
        for task, ask in zip(tasks, asks, strict=True):
            if ask.cancelled:
                task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert ended is None or isinstance(ended, asyncio.CancelledError), repr(ended)

    async def _commit(self, ask: Ask) -> None:
        lease, first = self._leases[ask.run], self._next[ask.run]
        self._next[ask.run] += ask.shards
        changes: list[Change] = [
            ShardsAdded(subtask_id="a", first=first + one, pieces=(Whole(),)) for one in range(ask.shards)
        ]
        if ask.refused:
            with pytest.raises(IllegalTransition):
                await self._store.runs.commit(lease, [*changes, RunChanged(state=RunState.SUCCEEDED)])
            return
        if ask.cancelled:
            self.unheard[ask.run] += changes
        number = await self._store.runs.commit(lease, changes)
        assert not ask.cancelled
        self.told[ask.run] += changes
        if changes:
            self.last[ask.run][number] = changes[-1]


async def _scenario(
    place: Path | str, bursts: Sequence[Sequence[Ask]], faults: Sequence[Fault | None], example: int = 0
) -> None:
    clock = SystemClock()

    async def wait(_seconds: float) -> None:
        await asyncio.sleep(0)

    with open_door() as door:
        async with open_store(place, clock, patience_seconds=None, wait=wait) as store:
            new = [NewRun(id=f"run{example}x{run}", command="c", planner="file", plan=PLAN) for run in range(RUNS)]
            writers = _Writers(store, [await store.runs.create(one, "me") for one in new])
            door.put(faults)
            for burst in bursts:
                await writers.burst(burst)
    async with open_store(place, clock) as store:
        for run, one in enumerate(new):
            await _require_once(store, one.id, writers.told[run], writers.unheard[run], writers.last[run])


async def _require_once(
    store: SqlStore, run_id: str, told: list[Change], unheard: list[Change], last: dict[int, Change]
) -> None:
    events = await store.runs.events_after(run_id, 0, limit=10_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    written = [event.change for event in events]
    assert [change for change in written if change not in unheard] == told
    assert all(written.count(change) <= 1 for change in unheard)
    assert {number: written[number - 1] for number in last} == last
    assert len((await store.runs.get(run_id)).subtasks[0].shards) == len(written)


@settings(max_examples=30, deadline=None)
@given(bursts=_bursts, faults=_faults)
def test_each_commit_is_in_the_event_log_once_and_in_order(
    bursts: list[list[Ask]], faults: list[Fault | None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_scenario(Path(folder) / "nadg.db", bursts, faults))


@pytest.mark.parametrize("pooled", [False, True])
def test_each_commit_is_in_the_event_log_once_and_in_order_on_postgresql(
    server: Server, pooler_port: int, used_database: str, pooled: bool
) -> None:
    url = server.url(used_database, port=pooler_port if pooled else 0)
    server.clear(used_database)
    examples = itertools.count()

    @settings(max_examples=10, deadline=None)
    @given(bursts=_bursts, faults=_faults)
    def all_hold(bursts: list[list[Ask]], faults: list[Fault | None]) -> None:
        asyncio.run(_scenario(url, bursts, faults, next(examples)))

    all_hold()
