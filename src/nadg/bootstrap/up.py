"""`nadg up`: local workers that stay, registered so that every run on this machine finds them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence

import structlog

from nadg.bootstrap.grid import create_engine
from nadg.bootstrap.home import Home
from nadg.bootstrap.workers import PoolWatcher, WorkerPool
from nadg.domain.clock import SystemClock
from nadg.engines.grid import WorkerView
from nadg.link.blobfolder import BlobFolder
from nadg.settings import Settings
from nadg.store import open_store


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
    async with open_store(home.database, clock) as store, engine:
        pool = WorkerPool(settings, home=home, engine=engine, store=store, own=workers, register=True)
        async with pool:
            on_ready(await pool.ensure(watcher or _LogWatcher()))
            await stop.wait()
