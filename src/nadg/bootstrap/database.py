"""Opening the database as a master, who waits for it as long as it takes, or as one who only looks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from nadg.domain.clock import Clock
from nadg.store import NoTables, SqlStore, create_store, open_store, opened
from nadg.store.api import OnTrouble, StoreTrouble
from nadg.store.dialect import locate

LOOKING_SECONDS = 5.0
"""So long a command that only looks waits for a database in trouble."""

OPENING_SECONDS = 10.0
"""So long `nadg run` waits for a database that cannot be opened at its start: somebody sits before it."""

WAITING = "waiting. Nothing is lost."

T = TypeVar("T")

_log = logging.getLogger(__name__)


def store_of_master(database: str | Path, clock: Clock, notice: Callable[[str], None]) -> SqlStore:
    """A store, still to be `opened`, waited for in trouble as long as it takes; `notice` is told so."""
    return create_store(database, clock, patience_seconds=None, on_trouble=tell_trouble(notice))


@asynccontextmanager
async def open_for_run(
    database: str | Path, clock: Clock, notice: Callable[[str], None], opening_seconds: float
) -> AsyncIterator[SqlStore]:
    """As `store_of_master`, opened; at the start it is waited for so long only. Raises as `opened`."""
    is_open = False

    def waiting() -> str:
        return WAITING if is_open else f"waiting, for {opening_seconds:g} s at most."

    told = tell_trouble(notice, waiting)
    async with opened(
        create_store(database, clock, patience_seconds=None, on_trouble=told), opening_seconds
    ) as store:
        is_open = True
        yield store


async def unless(stop: asyncio.Event, opening: Coroutine[object, object, T]) -> T | None:
    """What opening gives; None, and it is given up, where `stop` is set first."""
    task, stopped = asyncio.create_task(opening), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, stopped):
            one.cancel()
        await asyncio.wait({task, stopped})


def open_to_change(database: str | Path, clock: Clock) -> AbstractAsyncContextManager[SqlStore]:
    """A store for a short command that leaves something there. Raises as `opened`."""
    return open_store(database, clock, patience_seconds=LOOKING_SECONDS)


@asynccontextmanager
async def open_to_look(database: str | Path, clock: Clock) -> AsyncIterator[SqlStore]:
    """A store for a short command that finds something there, or nothing. Raises as `opened`.

    A server's tables are made and upgraded by whoever has something to put there: where there are none yet, an
    empty store stands in, gone afterwards. A file is this user's own, and is brought up to date in passing.
    """
    if _is_file(database):
        async with open_to_change(database, clock) as store:
            yield store
        return
    async with AsyncExitStack() as stack:
        looking = create_store(database, clock, patience_seconds=LOOKING_SECONDS, makes_tables=False)
        try:
            store = await stack.enter_async_context(opened(looking))
        except NoTables:
            folder = stack.enter_context(TemporaryDirectory(prefix="nadg-"))
            store = await stack.enter_async_context(open_store(Path(folder) / "empty.db", clock))
        yield store


def _is_file(database: str | Path) -> bool:
    return locate(database).url.get_backend_name() == "sqlite"


def tell_trouble(notice: Callable[[str], None], waiting: Callable[[], str] = lambda: WAITING) -> OnTrouble:
    """Tells people when trouble begins and when it is over, and the log of each change of its reason too.

    The log hears it as information: where nobody set one up, a warning would be printed across the screen."""
    begun: list[StoreTrouble] = []

    def tell(trouble: StoreTrouble | None) -> None:
        if trouble is None:
            begun.clear()
            _log.info("the database answers again")
            notice("The database answers again; going on.")
            return
        _log.info("the database does not answer since %s: %s", trouble.since.isoformat(), trouble.reason)
        if not begun:
            notice(f"The database does not answer ({trouble.reason}); {waiting()}")
        begun.append(trouble)

    return tell
