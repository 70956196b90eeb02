"""Opening the database as a master, who waits for it as long as it takes, or as one who only looks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from nadg.domain.clock import Clock
from nadg.store import SqlStore, open_store
from nadg.store.api import OnTrouble, StoreTrouble

LOOKING_SECONDS = 5.0
"""So long a command that only looks waits for a database in trouble."""

OPENING_SECONDS = 10.0
"""So long `nadg run` waits for a database that cannot be opened at its start: somebody sits before it."""


T = TypeVar("T")

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_as_master(
    database: str | Path, clock: Clock, notice: Callable[[str], None], opening_seconds: float | None = None
) -> AsyncIterator[SqlStore]:
    """A store that is waited for in trouble, and `notice` is told so. Raises as `open_store`.

    `opening_seconds`: how long to wait for it at the start, None for ever.
    """
    told = tell_trouble(notice)
    async with open_store(
        database, clock, patience_seconds=None, opening_seconds=opening_seconds, on_trouble=told
    ) as store:
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


def open_to_look(database: str | Path, clock: Clock) -> AbstractAsyncContextManager[SqlStore]:
    """A store for a short command. Raises as `open_store`."""
    return open_store(database, clock, patience_seconds=LOOKING_SECONDS)


def tell_trouble(notice: Callable[[str], None]) -> OnTrouble:
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
            notice(f"The database does not answer ({trouble.reason}); waiting. Nothing is lost.")
        begun.append(trouble)

    return tell
