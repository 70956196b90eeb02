"""The workers of a grid: those that are registered, those that settings name, and local ones started here."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol, Self

from nadg.bootstrap.home import Home
from nadg.bootstrap.local import create_launches, remove_own_folders
from nadg.bootstrap.look import RegistryLook
from nadg.domain.clock import SystemClock
from nadg.domain.errors import LinkLost, LinkRefused, NotFound, StoreUnavailable, UserError
from nadg.domain.worker import WorkerInfo, WorkerNode
from nadg.engines.grid import GridEngine, WorkerView, ask_worker
from nadg.engines.leaving import leave_tasks
from nadg.engines.local import LocalWorkers
from nadg.link.dial import link_url
from nadg.settings import Settings
from nadg.store.api import Store

ASK_SECONDS = 3.0
"""How long a registered worker has to answer before it counts as out of reach."""
READY_SECONDS = 60.0
FORGET_SECONDS = 5.0
"""So long a database in trouble is waited for at the end, to take local workers out of the registry."""
HEARD_JUST_NOW = datetime.timedelta(seconds=10)
LOOK_SECONDS = 2.0
"""How often the registry is brought up to date with the links."""


class PoolWatcher(Protocol):
    """Who is told about workers."""

    def workers(self, views: Sequence[WorkerView]) -> None: ...

    def notice(self, text: str) -> None: ...


class WorkerPool:
    """Gives an engine its workers; its end stops those that it started.

    `own` local ones are started beside those that are registered or named in the settings; with None, as many
    as the settings say, and only where none of the others answers. With `register` other processes find them in
    the registry. Those of other masters are linked to as well: whoever takes a run over finds its attempts there.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        home: Home,
        engine: GridEngine,
        store: Store,
        own: int | None,
        register: bool = False,
    ) -> None:
        self._settings, self._home, self._engine, self._store = settings, home, engine, store
        self._own, self._clock = own, SystemClock()
        self._register = register
        self._token = home.worker_token()
        self._stack = AsyncExitStack()
        self._look = RegistryLook(store.workers, engine, ask=self._ask, token=self._token, register=register)
        self._ensured = asyncio.Lock()
        self._ready = False
        self._tasks = asyncio.TaskGroup()
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self._look.cancel()
        try:
            await leave_tasks(self._tasks, kind, error, trace)
        finally:
            await self._stack.aclose()
            await asyncio.to_thread(remove_own_folders, self._home.workers)
            with contextlib.suppress(TimeoutError):  # who looks for them later finds that they are gone
                async with asyncio.timeout(FORGET_SECONDS):
                    await self._look.forget_own()

    async def ensure(self, watcher: PoolWatcher) -> int:
        """Have workers connected, and say how many. Raises UserError where none can be had."""
        async with self._ensured:
            if not self._ready:
                reached = await self._connect_known(watcher)
                await self._start_local(self._wanted(reached), reached)
                self._watching = self._tasks.create_task(self._watch(watcher))
                self._ready = True
        views = self._engine.workers()
        watcher.workers(views)
        return sum(view.state == "ready" for view in views)

    # -- workers that are there already

    async def _connect_known(self, watcher: PoolWatcher) -> int:
        """Link to every registered or configured worker that answers; how many of them take work."""
        nodes = {node.vm_url: node for node in await self._store.workers.list() if not node.by_hand}
        named = [_named_url(url) for url in self._settings.worker_urls]
        urls = list(dict.fromkeys([*nodes, *named]))
        answers = await asyncio.gather(*(self._ask(url) for url in urls))
        for url, answer in zip(urls, answers, strict=True):
            if isinstance(answer, WorkerInfo):
                self._look.link(url, lasting=url in named)
            elif url in named:
                raise UserError(f"NADG_WORKER_URLS: {answer}")
            else:
                await self._note_silent(nodes[url], answer, watcher)
        await self._look.look(self._tasks)
        reached = sum(isinstance(answer, WorkerInfo) and not answer.draining for answer in answers)
        if reached:
            await self._engine.wait_ready(reached, READY_SECONDS)
        return reached

    async def _ask(self, url: str) -> WorkerInfo | str:
        try:
            return await ask(url, self._token)
        except UserError as error:
            return str(error)

    async def _note_silent(self, node: WorkerNode, reason: str, watcher: PoolWatcher) -> None:
        """A local worker that does not answer is one whose `nadg up` was killed: forget it.

        One that was heard of just now may be local to another machine; the looks find out.
        """
        heard = self._clock.now() - node.last_ping if node.last_ping is not None else None
        if node.local and (heard is None or abs(heard) > HEARD_JUST_NOW):
            with contextlib.suppress(NotFound):
                await self._store.workers.remove(node.id)
            return
        self._look.unreached(node.vm_url, reason)
        if not node.local:
            watcher.notice(f"worker {node.vm_url} is not used: {reason}")

    # -- workers of our own

    def _wanted(self, reached: int) -> int:
        """How many to start: as many as were asked for, else the settings' where there is no other worker."""
        if self._own is not None:
            return self._own
        return 0 if reached else self._settings.workers

    async def _start_local(self, count: int, reached: int) -> None:
        """Start so many beside those that were reached. Raises UserError where that gives no worker at all."""
        asked = "NADG_WORKERS" if self._own is None else "--workers"
        if not count and not reached and not self._register:  # a master that stays waits for workers to come
            raise UserError(
                f"there is no worker: none that is registered answers, and {asked} is 0; "
                "set it to 1 or more, start `nadg up`, or register a worker with `nadg workers add URL`"
            )
        if not count:
            return
        launches = create_launches(self._settings, self._home, count)
        await self._stack.enter_async_context(LocalWorkers(self._engine, launches))
        await self._engine.wait_ready(reached + count, READY_SECONDS)

    # -- the registry

    async def _watch(self, watcher: PoolWatcher) -> None:
        """Keep the registry and the watcher up to date with what the links say."""
        while True:
            watcher.workers(self._engine.workers())
            with contextlib.suppress(StoreUnavailable):  # the runs tell of it; what the links say is said again
                await self._look.look(self._tasks)
            await asyncio.sleep(LOOK_SECONDS)


def checked_worker_url(url: str) -> str:
    """The URL without a trailing slash. Raises UserError where it is no http(s) URL of a worker."""
    link_url(url)
    return url.rstrip("/")


def _named_url(url: str) -> str:
    try:
        return checked_worker_url(url)
    except UserError as error:
        raise UserError(f"NADG_WORKER_URLS: {error}") from error


async def ask(url: str, token: str) -> WorkerInfo:
    """What the worker at this URL says of itself. Raises UserError where it gives no such answer."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await ask_worker(url, token)
    except TimeoutError:
        raise UserError(f"{url} gave no answer in {ASK_SECONDS:g} s; is a worker running there?") from None
    except (LinkLost, LinkRefused, OSError) as error:
        reason = str(error)
        raise UserError(reason if url in reason else f"{url} cannot be used: {reason}") from error


async def test_worker(settings: Settings, url: str) -> WorkerInfo:
    """Open a real link and hear the worker's hello. Raises UserError, in one sentence, where that fails."""
    return await ask(checked_worker_url(url), Home(settings).worker_token())
