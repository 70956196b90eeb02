"""A master's look at the registry: who is new there, who is gone, whom a person took out of use; and what the
links say of all of them goes back into it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from nadg.bootstrap.findings import Findings
from nadg.bootstrap.local import master_lives
from nadg.domain.errors import NotFound
from nadg.domain.worker import WorkerInfo, WorkerNode, WorkerNote
from nadg.engines.grid import WorkerView
from nadg.store.api import Workers

AGAIN_SECONDS = 5.0
"""A registered worker that did not answer is asked again after so long."""
REMOVED = "it was removed from the registry"
OUTLIVED = "it outlived its master for a while"


class Roster(Protocol):
    """Who has the links: the grid."""

    def workers(self) -> list[WorkerView]: ...

    def add_worker(self, url: str, token: str) -> None: ...

    async def remove_worker(self, url: str, reason: str = ...) -> None: ...

    def hold_back(self, url: str, reason: str) -> None: ...


class _Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that did not answer when it was asked."""

    reason: str
    since: float


class RegistryLook:
    """Keeps a grid and the registry in step, as often as `look` is called.

    With `register` the workers that the grid did not find in the registry are written into it as local ones.
    The local ones of other masters are taken up, too: a master may be paused, and what it has there go on here.
    """

    def __init__(
        self,
        workers: Workers,
        roster: Roster,
        *,
        ask: Callable[[str], Awaitable[WorkerInfo | str]],
        token: str,
        register: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workers, self._roster, self._ask, self._token = workers, roster, ask, token
        self._register = register
        self._monotonic = monotonic
        self._findings = Findings()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._silent: dict[str, _Silence] = {}
        self._linked: dict[str, bool] = {}
        self._registered: set[str] = set()

    # -- who belongs to the grid

    def link(self, url: str, *, lasting: bool) -> None:
        """Take a worker up. A `lasting` one stays even where the registry loses it."""
        self._silent.pop(url, None)
        self._linked[url] = lasting
        self._roster.add_worker(url, self._token)

    def unreached(self, url: str, reason: str) -> None:
        """A registered worker was asked and gave no answer."""
        self._silent[url] = _Silence(reason=reason, since=self._monotonic())

    async def look(self, tasks: asyncio.TaskGroup) -> None:
        """Once; `tasks` own the questions to workers that are not in the grid yet. Raises StoreUnavailable."""
        rows = {row.vm_url: row for row in await self._workers.list()}
        await self._follow(rows)
        self._take_up(rows, tasks)
        await self._write(rows)

    def cancel(self) -> None:
        """Ask nobody any more."""
        for task in self._asking.values():
            task.cancel()

    async def forget_own(self) -> None:
        """Take the local workers of this grid out of the registry. Raises StoreUnavailable."""
        await self._forget({row.vm_url: row for row in await self._workers.list()}, self._registered)

    # -- within

    async def _follow(self, rows: Mapping[str, WorkerNode]) -> None:
        """Give nothing new to whom a person keeps out of use, and let go of removed ones when they are idle."""
        for view in self._roster.workers():
            row = rows.get(view.url)
            if row is not None and self._has_outlived(row, view):
                del self._linked[view.url]
                await self._roster.remove_worker(view.url, OUTLIVED)
                await self._forget(rows, {view.url})
            elif row is not None or self._linked.get(view.url, True):
                self._roster.hold_back(view.url, row.reason if row is not None and row.by_hand else "")
            elif view.in_flight:
                self._roster.hold_back(view.url, REMOVED)
            else:
                del self._linked[view.url]
                await self._roster.remove_worker(view.url, REMOVED)

    def _has_outlived(self, row: WorkerNode, view: WorkerView) -> bool:
        """Whether it kept what a dead master's runs had there, and is gone now itself."""
        gone = view.state in ("away", "dead", "refused") and not view.in_flight
        return gone and self._register and row.local and view.url in self._linked and not master_lives(row.name)

    def _take_up(self, rows: Mapping[str, WorkerNode], tasks: asyncio.TaskGroup) -> None:
        """Ask those that are not in the grid; whoever answers belongs to it."""
        now = self._monotonic()
        self._silent = {url: one for url, one in self._silent.items() if url in rows}
        self._asking = {url: task for url, task in self._asking.items() if not task.done()}
        here = {view.url for view in self._roster.workers()}
        for url, row in rows.items():
            silence = self._silent.get(url)
            rests = silence is not None and silence.since + AGAIN_SECONDS > now
            if url not in here and url not in self._asking and not rests:
                self._asking[url] = tasks.create_task(self._question(row))

    async def _question(self, row: WorkerNode) -> None:
        answer = await self._ask(row.vm_url)
        if isinstance(answer, str):
            self.unreached(row.vm_url, answer)
        elif all(view.url != row.vm_url for view in self._roster.workers()):
            self.link(row.vm_url, lasting=False)
            self._roster.hold_back(row.vm_url, row.reason if row.by_hand else "")

    async def _write(self, rows: Mapping[str, WorkerNode]) -> None:
        """What the links say of everyone who is registered, in one stroke."""
        now, notes = self._monotonic(), list[WorkerNote | None]()
        views = self._roster.workers()
        for view in views:
            row = rows.get(view.url)
            if row is not None:
                notes.append(self._findings.linked(row, view, now))
            elif self._register and view.url not in self._linked and view.info is not None:
                self._registered.add(view.url)
                new = await self._workers.add(view.url, view.info.name, local=True)
                notes.append(self._findings.linked(new, view, now))
        silent = [(url, one) for url, one in self._silent.items() if url in rows]  # answers may come meanwhile
        for url, silence in silent:
            if not rows[url].local:
                notes.append(self._findings.silent(rows[url], silence.reason, now))
            elif self._findings.unheard(rows[url], now):
                await self._forget(rows, {url})  # its `nadg up` was killed
        written = [note for note in notes if note is not None]
        self._findings.noted(written, await self._workers.note(written))
        await self._forget(rows, self._registered - {view.url for view in views})

    async def _forget(self, rows: Mapping[str, WorkerNode], urls: set[str]) -> None:
        """Take local workers that are gone out of the registry."""
        for url in tuple(urls):
            self._registered.discard(url)
            if url in rows:
                with contextlib.suppress(NotFound):
                    await self._workers.remove(rows[url].id)
