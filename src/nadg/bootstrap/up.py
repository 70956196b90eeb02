"""`nadg up`: local workers that stay, registered so that every run on this machine finds them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from nadg.bootstrap.database import open_as_master, unless
from nadg.bootstrap.grid import create_engine
from nadg.bootstrap.home import Home
from nadg.bootstrap.workers import PoolWatcher, WorkerPool
from nadg.domain.clock import SystemClock
from nadg.engines.grid import WorkerView
from nadg.link.blobfolder import BlobFolder
from nadg.settings import Settings


class _LogWatcher:
    """Puts what happens to workers into the log."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    def workers(self, views: Sequence[WorkerView]) -> None:
        states = {view.url: str(view.state) for view in views}
        for url, state in states.items():
            if self._states.get(url, state) != state:
                structlog.get_logger().warning("worker changed", url=url, state=state)
        self._states = states

    def notice(self, text: str) -> None:
        structlog.get_logger().warning(text)


async def serve_up(
    settings: Settings,
    workers: int,
    on_ready: Callable[[int], None],
    watcher: PoolWatcher | None = None,
) -> None:
    """Keep `workers` local workers until SIGINT or SIGTERM, then stop them; `on_ready` hears when all are up."""
    home, clock = Home(settings), SystemClock()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    engine = create_engine(settings, BlobFolder(home.blobs), clock)
    watcher = watcher or _LogWatcher()
    async with AsyncExitStack() as stack:
        opening = stack.enter_async_context(open_as_master(home.database, clock, watcher.notice))
        store = await unless(stop, opening)
        if store is None:
            return
        await stack.enter_async_context(engine)
        pool = WorkerPool(settings, home=home, engine=engine, store=store, own=workers, register=True)
        await stack.enter_async_context(pool)
        on_ready(await pool.ensure(watcher))
        await stop.wait()
