"""`nadg up`: the master that stays, with local workers that every run on this machine finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from nadg.api.app import Front
from nadg.api.auth import is_loopback
from nadg.api.bell import Bell
from nadg.api.service import MasterParts
from nadg.bootstrap.carrying import RunCarrier
from nadg.bootstrap.database import store_of_master, unless
from nadg.bootstrap.doors import Doors
from nadg.bootstrap.grid import collect_garbage_seldom, create_engine
from nadg.bootstrap.home import Home
from nadg.bootstrap.master import Master
from nadg.bootstrap.serving import checked_token, listening, served, url_of
from nadg.bootstrap.submitted import MasterRooms
from nadg.bootstrap.workers import PoolWatcher, WorkerPool
from nadg.domain.clock import SystemClock
from nadg.link.blobfolder import BlobFolder
from nadg.settings import Settings
from nadg.skills.registry import load_registry
from nadg.store import opened

STOPPING = (
    "Stopping: runs are given up as they stand and local workers end, which takes up to 10 s; "
    "Ctrl-C again stops at once."
)


async def serve_up(
    settings: Settings,
    workers: int,
    stop: asyncio.Event,
    on_ready: Callable[[int, str], None],
    watcher: PoolWatcher,
) -> None:
    """A master with `workers` local workers until `stop` is set; `on_ready` hears their number and its URL.

    At its end it gives its runs up as they stand, so that another master goes on with them at once.
    """
    home = Home(settings)
    token = checked_token(settings, home)
    collect_garbage_seldom()
    front = Front(token, loopback_only=is_loopback(settings.master_host))
    with listening(settings) as listener:
        async with served(front, listener), AsyncExitStack() as stack:
            rooms = await _opened(settings, home, workers, stack, stop, front, watcher)
            if rooms is None:
                return
            count = await rooms.pool.ensure(watcher)
            master = await stack.enter_async_context(Master(rooms, bell := Bell(), watcher.notice))
            front.open(MasterParts(service=master, store=rooms.store, blobs=rooms.blobs, bell=bell))
            on_ready(count, url_of(settings, listener))
            await stop.wait()
            front.shut()
            watcher.notice(STOPPING)


async def _opened(
    settings: Settings,
    home: Home,
    workers: int,
    stack: AsyncExitStack,
    stop: asyncio.Event,
    front: Front,
    watcher: PoolWatcher,
) -> MasterRooms | None:
    """Everything a master is made of, closed with the stack; None where `stop` comes before that is there."""
    clock, blobs = SystemClock(), BlobFolder(home.blobs)

    store = store_of_master(home.database, clock, watcher.notice)
    front.waits_for(lambda: store.trouble)
    if await unless(stop, stack.enter_async_context(opened(store))) is None:
        return None
    engine = await stack.enter_async_context(create_engine(settings, blobs, clock))
    pool = WorkerPool(settings, home=home, engine=engine, store=store, own=workers, register=True)
    await stack.enter_async_context(pool)
    doors = await stack.enter_async_context(Doors(settings, store, clock))
    carrier = RunCarrier(
        settings, store=store, engine=engine, blobs=blobs, skills=load_registry().specs, clock=clock
    )
    return MasterRooms(
        settings=settings,
        store=store,
        blobs=blobs,
        engine=engine,
        pool=pool,
        doors=doors,
        carrier=carrier,
        clock=clock,
    )
