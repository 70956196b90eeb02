"""Real trouble with a real PostgreSQL: backends that are killed, and a server that crashes and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest

from nadg.domain.assignment import Whole
from nadg.domain.changes import Change, ShardsAdded
from nadg.domain.clock import SystemClock
from nadg.domain.errors import StoreUnavailable
from nadg.domain.run import Lease, NewRun
from nadg.store import SqlStore, open_store
from nadg.store.api import StoreTrouble
from tests.support.postgres import Server, free_port

NewRuns = Callable[..., NewRun]

KILL_BACKENDS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = '{}' AND backend_type = 'client backend'"
)
COMMITS = 90
WRITERS = 3


async def _commit_all(store: SqlStore, leases: Sequence[Lease], at: Callable[[int], Awaitable[None]]) -> None:
    """Each writer commits shard after shard; `at` hears of each answer of the first one."""

    async def write(lease: Lease) -> None:
        for number in range(COMMITS):
            changes: list[Change] = [ShardsAdded(subtask_id="a", first=number, pieces=(Whole(),))]
            assert await store.runs.commit(lease, changes) == number + 1
            if lease is leases[0]:
                await at(number)

    await asyncio.gather(*(write(lease) for lease in leases))


async def _require_all(store: SqlStore, leases: Sequence[Lease]) -> None:
    for lease in leases:
        events = await store.runs.events_after(lease.run_id, 0)
        assert [event.seq for event in events] == list(range(1, COMMITS + 1))
        firsts = [event.change.first for event in events if isinstance(event.change, ShardsAdded)]
        assert firsts == list(range(COMMITS))
        assert len((await store.runs.get(lease.run_id)).subtasks[0].shards) == COMMITS


@pytest.mark.parametrize("pooled", [False, True])
def test_commits_outlive_backends_that_are_killed(
    server: Server, pooler_port: int, used_database: str, new_run: NewRuns, pooled: bool
) -> None:
    url = server.url(used_database, port=pooler_port if pooled else 0)
    server.clear(used_database)
    killing: list[asyncio.Task[None]] = []

    async def kill(number: int) -> None:
        """In the middle of whatever is under way then."""
        if number % 10 == 5:
            statement = KILL_BACKENDS.format(used_database)
            killing.append(asyncio.create_task(asyncio.to_thread(server.execute, "postgres", statement)))

    async def scenario() -> None:
        async with open_store(url, SystemClock(), patience_seconds=None) as store:
            leases = [await store.runs.create(new_run(), "me") for _ in range(WRITERS)]
            await _commit_all(store, leases, kill)
            await asyncio.gather(*killing)
            await _require_all(store, leases)

    asyncio.run(scenario())
    assert len(killing) == COMMITS // 10


def test_commits_outlive_the_server(server: Server, used_database: str, new_run: NewRuns) -> None:
    server.clear(used_database)
    crashes: list[asyncio.Task[None]] = []
    told: list[str | None] = []

    async def scenario() -> None:
        begun, over = asyncio.Event(), asyncio.Event()

        async def crash() -> None:
            await asyncio.to_thread(server.stop)
            await begun.wait()
            await asyncio.to_thread(server.start)

        def tell(trouble: StoreTrouble | None) -> None:
            told.append(None if trouble is None else trouble.reason)
            (over if trouble is None else begun).set()

        async def crash_once(number: int) -> None:
            if number == COMMITS // 2:
                crashes.append(asyncio.create_task(crash()))

        async with open_store(
            server.url(used_database), SystemClock(), patience_seconds=None, on_trouble=tell
        ) as store:
            leases = [await store.runs.create(new_run(), "me") for _ in range(WRITERS)]
            await _commit_all(store, leases, crash_once)
            await asyncio.gather(*crashes)
            await _require_all(store, leases)
            await over.wait()
        assert told[0] is not None
        assert told[-1] is None

    asyncio.run(scenario())


def test_a_server_that_is_not_there_is_waited_for_and_given_up() -> None:
    reasons: list[str | None] = []

    async def scenario() -> None:
        begun = time.monotonic()
        url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
        with pytest.raises(StoreUnavailable, match="could not be opened"):
            async with open_store(
                url,
                SystemClock(),
                patience_seconds=None,
                opening_seconds=2,
                on_trouble=lambda one: reasons.append(None if one is None else one.reason),
            ):
                pass
        assert 1 < time.monotonic() - begun < 20

    asyncio.run(scenario())
    assert reasons == ["no database answers at its address"]
