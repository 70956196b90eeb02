"""Real trouble with real SQLite: a file that another holds, a disk without room, a database not there yet."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from nadg.domain.blob import Value
from nadg.domain.changes import RunChanged, SubtaskChanged
from nadg.domain.clock import Clock
from nadg.domain.errors import StoreUnavailable, UserError
from nadg.domain.run import NewRun
from nadg.domain.states import RunState, SubtaskState
from nadg.store import SqlStore, open_store
from nadg.store.api import StoreTrouble

NewRuns = Callable[..., NewRun]
RUNNING = RunChanged(state=RunState.RUNNING)
HELD = "another process holds the database file"
BUSY_SECONDS = 0.01


@contextmanager
def _held(database: Path) -> Iterator[sqlite3.Connection]:
    """Another process' connection that writes, and does not come to an end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def _reason(store: SqlStore) -> str | None:
    return None if store.trouble is None else store.trouble.reason


class _Case:
    """A patient store; waiting moves the test's clock, and is where a test mends what is broken."""

    def __init__(self, database: Path, clock: Clock, advance: Callable[[float], None]) -> None:
        self._database, self._clock, self._advance = database, clock, advance
        self.reasons: list[str | None] = []
        self.begun = asyncio.Event()
        self.waits = 0
        self.mend_after = 1_000_000
        self.mend: Callable[[], object] = str

    @asynccontextmanager
    async def opened(
        self, patience_seconds: float | None = None, opening_seconds: float | None = None
    ) -> AsyncIterator[SqlStore]:
        async with open_store(
            self._database,
            self._clock,
            busy_seconds=BUSY_SECONDS,
            patience_seconds=patience_seconds,
            opening_seconds=opening_seconds,
            on_trouble=self._told,
            wait=self._wait,
        ) as store:
            yield store

    def _told(self, trouble: StoreTrouble | None) -> None:
        self.reasons.append(None if trouble is None else trouble.reason)
        self.begun.set()

    async def _wait(self, seconds: float) -> None:
        self._advance(seconds)
        self.waits += 1
        if self.waits == self.mend_after:
            self.mend()
        await asyncio.sleep(0)


@pytest.fixture
def case(database: Path, clock: Clock, advance: Callable[[float], None]) -> _Case:
    return _Case(database, clock, advance)


def test_a_file_that_another_holds_is_waited_for_in_order(database: Path, case: _Case, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with case.opened() as store:
            lease = await store.runs.create(new_run(), "me")
            with _held(database) as other:
                first = asyncio.create_task(store.runs.commit(lease, [RUNNING]))
                second = asyncio.create_task(store.runs.commit(lease, [RunChanged(state=RunState.SUCCEEDED)]))
                await case.begun.wait()
                assert _reason(store) == HELD
                assert (await store.runs.get(lease.run_id)).state is RunState.PLANNED
                assert not first.done()
                other.execute("ROLLBACK")
                assert [await first, await second] == [1, 2]
            assert _reason(store) is None
            assert case.reasons == [HELD, None]

    asyncio.run(scenario())


def test_a_file_that_is_moved_away_or_replaced_is_waited_for(
    database: Path, case: _Case, new_run: NewRuns
) -> None:
    aside = database.with_name("aside")

    def replace() -> None:
        assert not database.exists(), "nobody made a new one in its place"
        database.touch()
        case.mend_after, case.mend = case.waits + 8, lambda: aside.replace(database)

    async def scenario() -> None:
        async with case.opened() as store:
            lease = await store.runs.create(new_run(), "me")
            shutil.move(database, aside)
            case.mend_after, case.mend = 8, replace
            assert await store.runs.commit(lease, [RUNNING]) == 1
            assert case.waits >= 16
            assert (await store.runs.get(lease.run_id)).state is RunState.RUNNING
            shutil.move(database, aside)
            case.mend_after, case.mend = case.waits + 3, lambda: aside.replace(database)
            assert (await store.runs.get(lease.run_id)).state is RunState.RUNNING
            assert str(case.reasons[0]).startswith("its file was removed or replaced")

    asyncio.run(scenario())


def test_who_only_looks_gives_up(database: Path, case: _Case, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with case.opened(patience_seconds=5) as store:
            lease = await store.runs.create(new_run(), "me")
            with _held(database), pytest.raises(StoreUnavailable, match="locked"):
                await store.runs.request_cancel(lease.run_id, "enough")
            assert await store.runs.request_cancel(lease.run_id, "enough")

    asyncio.run(scenario())


def test_a_caller_that_goes_away_in_trouble_leaves_nothing(database: Path, case: _Case, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with case.opened() as store:
            one, two = await store.runs.create(new_run(), "me"), await store.runs.create(new_run(), "me")
            with _held(database) as other:
                gone = asyncio.create_task(store.runs.commit(one, [RUNNING]))
                await case.begun.wait()
                stays = asyncio.create_task(store.runs.commit(two, [RUNNING]))
                await asyncio.sleep(0)
                gone.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await gone
                other.execute("ROLLBACK")
            assert await stays == 1
            assert await store.runs.events_after(one.run_id, 0) == []

    asyncio.run(scenario())


def test_of_a_group_in_trouble_only_those_who_still_wait_are_written(
    database: Path, case: _Case, new_run: NewRuns
) -> None:
    async def scenario() -> None:
        async with case.opened() as store:
            leases = [await store.runs.create(new_run(), "me") for _ in range(4)]
            with _held(database) as other:
                tasks = [asyncio.create_task(store.runs.commit(lease, [RUNNING])) for lease in leases]
                await case.begun.wait()
                tasks[0].cancel()
                tasks[2].cancel()
                await asyncio.sleep(0)
                other.execute("ROLLBACK")
            assert [await tasks[1], await tasks[3]] == [1, 1]
            written = [len(await store.runs.events_after(lease.run_id, 0)) for lease in leases]
            assert written == [0, 1, 0, 1]

    asyncio.run(scenario())


def test_a_store_in_trouble_is_left_at_once_when_nobody_waits(
    database: Path, case: _Case, new_run: NewRuns
) -> None:
    async def scenario() -> None:
        with _held_later(database) as hold:
            async with case.opened() as store:
                leases = [await store.runs.create(new_run(), "me") for _ in range(3)]
                hold()
                asks = [asyncio.create_task(store.runs.commit(lease, [RUNNING])) for lease in leases]
                renewal = asyncio.create_task(store.runs.renew(leases[0]))
                await case.begun.wait()
                for task in (*asks, renewal):
                    task.cancel()
        assert all(task.cancelled() for task in (*asks, renewal))

    asyncio.run(scenario())


@contextmanager
def _held_later(database: Path) -> Iterator[Callable[[], object]]:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        yield lambda: other.execute("BEGIN IMMEDIATE")


def test_a_file_that_grows_no_further_is_waited_for(database: Path, case: _Case, new_run: NewRuns) -> None:
    big = Value(inline=b"1" * 4_000_000)
    moves = (SubtaskState.PREPARING, SubtaskState.RUNNING, SubtaskState.CLOSING)
    large = SubtaskChanged(subtask_id="a", state=SubtaskState.SUCCEEDED, result=big)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    case.mend_after, case.mend = 6, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    async def scenario() -> None:
        async with case.opened() as store:
            lease = await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, [SubtaskChanged(subtask_id="a", state=state) for state in moves])
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
            try:
                assert await store.runs.commit(lease, [large]) == 4
            finally:
                case.mend()
            assert (await store.runs.get(lease.run_id)).subtasks[0].result == big
            assert case.waits == 6
            assert case.reasons == ["the disk with the database file cannot be read or written", None]

    asyncio.run(scenario())


def _can_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="nobody here can mount a disk to fill")
def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    program = Path(__file__).with_name("full_disk_process.py")
    mount = 'mount -t tmpfs -o size=2m none "$0" && exec "$1" "$2" "$0"'
    argv = ["unshare", "--mount", "sh", "-c", mount, str(tmp_path), sys.executable, str(program)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("the disk with the database file is full\nNone\n4\n", 0), done.stderr


def test_opening_waits_for_a_file_that_another_holds(database: Path, case: _Case, new_run: NewRuns) -> None:
    async def scenario() -> None:
        with _held(database) as other:
            case.mend_after, case.mend = 8, lambda: other.execute("ROLLBACK")
            async with case.opened() as store:
                await store.runs.create(new_run(), "me")
        assert case.waits == 8
        assert case.reasons == [HELD, None]

    asyncio.run(scenario())


def test_opening_gives_up_sooner_where_that_is_wished(database: Path, case: _Case) -> None:
    async def scenario() -> None:
        with _held(database), pytest.raises(StoreUnavailable, match="could not be opened: database is locked"):
            async with case.opened(opening_seconds=10):
                pass
        assert case.reasons == [HELD]
        assert case.waits < 10

    asyncio.run(scenario())


def test_what_never_passes_is_told_at_once(database: Path, case: _Case) -> None:
    database.write_bytes(b"these are no tables at all\n" * 100)

    async def scenario() -> None:
        with pytest.raises(UserError, match="is not a database"):
            async with case.opened():
                pass
        assert case.waits == 0

    asyncio.run(scenario())
