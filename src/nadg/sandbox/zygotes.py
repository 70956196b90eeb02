"""The set of warm processes: each started on first need or ahead of it, replaced when it dies or has aged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from nadg.domain.errors import SandboxUnavailable
from nadg.domain.tier import Tier
from nadg.sandbox.policy import Policy
from nadg.sandbox.protocol import ZygoteOrder
from nadg.sandbox.zygote_process import ZygoteProcess


class Zygotes:
    """Zygotes by name; `get` gives one that is ready. Use from one event loop; `stop` at the end."""

    def __init__(
        self,
        policy: Policy,
        tier: Tier,
        folder: Path,
        task_uid: int | None,
        when_ready: Callable[[str, ZygoteProcess], None],
    ) -> None:
        self._policy = policy
        self._tier = tier
        self._folder = folder
        self._task_uid = task_uid
        self._when_ready = when_ready
        self._current: dict[str, ZygoteProcess] = {}
        self._starting: dict[str, asyncio.Task[ZygoteProcess]] = {}
        self._all: set[ZygoteProcess] = set()
        self._stopping: set[asyncio.Task[None]] = set()

    @property
    def current(self) -> dict[str, ZygoteProcess]:
        """Those that are ready, by name."""
        return {name: zygote for name, zygote in self._current.items() if zygote.is_alive}

    def warm(self, name: str) -> None:
        """Start one ahead of need; a failure shows when it is needed."""
        if name not in self._starting:
            starting = asyncio.create_task(self._start(name), name=f"start zygote {name}")
            starting.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._starting[name] = starting

    async def get(self, name: str) -> ZygoteProcess:
        """A zygote that is ready for work. Raises SandboxUnavailable where it cannot be started."""
        if len(self._all) > len(self._current):
            self._sweep()
        zygote = self._current.get(name)
        if zygote is None or not zygote.is_alive:
            self.warm(name)
            return await asyncio.shield(self._starting[name])
        if zygote.forks >= self._policy.recycle_after:
            self.warm(name)
        return zygote

    async def _start(self, name: str) -> ZygoteProcess:
        order = ZygoteOrder(
            tier=self._tier.value,
            modules=self._policy.zygotes[name],
            folder=str(self._folder),
            task_uid=self._task_uid,
        )
        try:
            zygote = ZygoteProcess(name, order)
            self._all.add(zygote)
            await zygote.wait_until_ready(self._policy.start_seconds)
        except OSError as error:
            raise SandboxUnavailable(f"the '{name}' sandbox process could not start: {error}") from error
        finally:
            self._starting.pop(name, None)
            self._sweep()
        old = self._current.get(name)
        self._current[name] = zygote
        self._when_ready(name, zygote)
        if old is not None:
            old.retire()
        return zygote

    def _sweep(self) -> None:
        """Reap zygotes that are gone."""
        for zygote in [one for one in self._all if not one.is_alive]:
            self._all.discard(zygote)
            task = asyncio.create_task(zygote.stop(), name=f"reap zygote {zygote.name}")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    async def stop(self) -> None:
        """End all of them, and all tasks with them."""
        for starting in list(self._starting.values()):
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, SandboxUnavailable):
                await starting
        await asyncio.gather(*(zygote.stop() for zygote in self._all), *self._stopping)
        self._all.clear()
        self._current.clear()
