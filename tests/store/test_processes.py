"""Several processes on one database, killed in the middle, kept waiting, and out of room: with real ones."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from nadg.domain.assignment import Whole
from nadg.domain.blob import Value
from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
    SubtasksAdded,
)
from nadg.domain.clock import Clock
from nadg.domain.errors import StoreUnavailable
from nadg.domain.run import NewRun, RunRecord
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.store import SqlStore, StoredEvent, open_store

PROGRAM = Path(__file__).with_name("writer_process.py")
Opened = Callable[[], AbstractAsyncContextManager[SqlStore]]


@contextmanager
def _writer(database: Path, run_id: str, rounds: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PROGRAM), str(database), run_id, str(rounds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class _States(msgspec.Struct, frozen=True):
    run: RunState
    subtasks: list[str]
    shards: dict[int, ShardState]
    attempts: dict[str, AttemptState]


def _replayed(events: list[StoredEvent]) -> _States:
    """The states that the event log tells of."""
    run, subtasks = RunState.PLANNED, ["a"]
    shards, attempts = dict[int, ShardState](), dict[str, AttemptState]()
    for event in events:
        match event.change:
            case RunChanged(state=state):
                run = state
            case SubtasksAdded(subtasks=added):
                subtasks += [one.id for one in added]
            case ShardsAdded(first=first, pieces=pieces):
                shards.update(dict.fromkeys(range(first, first + len(pieces)), ShardState.QUEUED))
            case ShardChanged(index=index, state=moved):
                shards[index] = moved
            case AttemptAdded(attempt_id=name):
                attempts[name] = AttemptState.QUEUED
            case AttemptChanged(attempt_id=name, state=ended):
                attempts[name] = ended
            case other:
                raise AssertionError(f"the writer does no such thing: {other}")
    return _States(run, subtasks, shards, attempts)


def _stored(run: RunRecord) -> _States:
    shards = run.subtasks[0].shards
    attempts = {attempt.id: attempt.state for shard in shards for attempt in shard.attempts}
    subtasks = [one.id for one in run.subtasks]
    assert [one.id for one in run.plan.subtasks] == subtasks
    return _States(run.state, subtasks, {shard.index: shard.state for shard in shards}, attempts)


def _require_whole(opened: Opened, run_id: str, acknowledged: int) -> RunRecord:
    """The rows are what the events say, none is missing, and none that was acknowledged is lost."""

    async def scenario() -> RunRecord:
        async with opened() as store:
            events = await store.runs.events_after(run_id, 0, limit=1_000_000)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert len(events) >= acknowledged
            run = await store.runs.get(run_id)
            assert _stored(run) == _replayed(events)
            return run

    return asyncio.run(scenario())


@pytest.mark.parametrize("answers", [3, 40, 150])
def test_a_killed_writer_leaves_nothing_half_written(database: Path, opened: Opened, answers: int) -> None:
    with _writer(database, "storm", 1_000_000) as process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(answers)]
        process.send_signal(signal.SIGKILL)
        seen += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    _require_whole(opened, "storm", max(seen))


def test_two_writers_and_a_reader_share_a_new_database(database: Path, opened: Opened) -> None:
    with _writer(database, "one", 30) as one, _writer(database, "two", 30) as two:
        assert one.stdout is not None
        assert two.stdout is not None
        one.stdout.readline()

        async def watch() -> None:
            async with opened() as store:
                while (await store.runs.get("one")).state is not RunState.SUCCEEDED:
                    assert 1 <= len(await store.runs.list()) <= 2

        asyncio.run(watch())
        assert one.wait() == 0
        last = int(two.stdout.read().splitlines()[-1])
        assert two.wait() == 0
    for run_id in ("one", "two"):
        assert _require_whole(opened, run_id, last).state is RunState.SUCCEEDED


def test_many_processes_make_the_database_at_the_same_time(database: Path, opened: Opened) -> None:
    names = [f"run{number}" for number in range(5)]
    command = [sys.executable, str(PROGRAM), str(database)]
    processes = [
        subprocess.Popen([*command, name, "1"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for name in names
    ]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [(b"", 0)] * len(names)
    for name in names:
        assert _require_whole(opened, name, 1).state is RunState.SUCCEEDED


def test_a_database_held_by_another_is_waited_for_and_given_up(
    database: Path, clock: Clock, new_run: Callable[..., NewRun]
) -> None:
    async def scenario() -> None:
        async with open_store(database, clock, busy_seconds=0.02) as store:
            lease = await store.runs.create(new_run(), "me")
            with closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreUnavailable, match="locked"):
                    await store.runs.commit(lease, [RunChanged(state=RunState.RUNNING)])
                assert (await store.runs.get(lease.run_id)).state is RunState.PLANNED
                with pytest.raises(StoreUnavailable, match="could not be opened"):
                    async with open_store(database, clock, busy_seconds=0.02):
                        pass
                other.execute("ROLLBACK")
            assert await store.runs.commit(lease, [RunChanged(state=RunState.RUNNING)]) == 1

    asyncio.run(scenario())


def test_a_full_disk_fails_the_commits_at_hand_and_no_others(
    database: Path, opened: Opened, new_run: Callable[..., NewRun]
) -> None:
    big = Value(inline=b"1" * 4_000_000)
    moves = (SubtaskState.PREPARING, SubtaskState.RUNNING, SubtaskState.CLOSING)
    large = SubtaskChanged(subtask_id="a", state=SubtaskState.SUCCEEDED, result=big)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def scenario() -> None:
        async with opened() as store:
            lease, other = await store.runs.create(new_run(), "me"), await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, [SubtaskChanged(subtask_id="a", state=state) for state in moves])
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
            try:
                answers = await asyncio.gather(
                    store.runs.commit(other, [RunChanged(state=RunState.RUNNING)]),
                    store.runs.commit(other, [ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),))]),
                    store.runs.commit(lease, [large]),
                    return_exceptions=True,
                )
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert [type(one) for one in answers].count(StoreUnavailable) >= 1
            assert len(await store.runs.events_after(lease.run_id, 0)) == 3
            assert await store.runs.commit(lease, [large]) == 4
            assert (await store.runs.get(lease.run_id)).subtasks[0].result == big

    asyncio.run(scenario())
