"""Workers on this machine: real worker processes, started, watched and stopped by the master."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec

from nadg.domain.errors import UserError
from nadg.engines.leaving import leave_tasks

READY_SECONDS = 60.0
STOP_SECONDS = 5.0
"""Between SIGTERM and SIGKILL."""
MAX_RESTARTS = 10
KEPT_VARIABLES = (
    "PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "FONTCONFIG_PATH", "MPLCONFIGDIR", "XDG_CACHE_HOME",
)  # fmt: skip
"""What a worker needs of the environment. The rest stays out: keys for models and databases are there."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker is started. It reads `settings` from stdin, whose end tells it that its master is gone."""

    argv: tuple[str, ...]
    settings: bytes
    """One line, without its end. With port 0, so that a restarted worker finds one."""
    token: str
    log: Path
    """Gets what it writes to stderr."""


class WorkerRoster(Protocol):
    """Who is told of the workers: the grid."""

    def add_worker(self, url: str, token: str) -> None: ...

    async def remove_worker(self, url: str, reason: str = ...) -> None: ...

    def worker_died(self, url: str, reason: str) -> None: ...


class _Ready(msgspec.Struct, frozen=True):
    url: str
    name: str


class LocalWorkers:
    """An async context manager: on entry all are ready and in the roster, after it none is left."""

    def __init__(
        self, roster: WorkerRoster, launches: Sequence[Launch], *, max_restarts: int = MAX_RESTARTS
    ) -> None:
        self._roster = roster
        self._workers = [_LocalWorker(roster, launch, max_restarts) for launch in launches]
        self._tasks = asyncio.TaskGroup()
        self._watching: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.TaskGroup() as starting:
                for worker in self._workers:
                    starting.create_task(worker.start())
        except BaseException as error:
            await self._stop()
            if isinstance(error, BaseExceptionGroup) and (unready := error.subgroup(UserError)):
                raise UserError(str(unready.exceptions[0])) from None
            raise
        await self._tasks.__aenter__()
        self._watching = [self._tasks.create_task(worker.watch()) for worker in self._workers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._watching:
            task.cancel()
        try:
            await self._stop()
        finally:
            await leave_tasks(self._tasks, kind, error, trace)

    @property
    def process_ids(self) -> list[int]:
        """Of those that run now, in order."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    async def _stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._workers))


class _LocalWorker:
    def __init__(self, roster: WorkerRoster, launch: Launch, max_restarts: int) -> None:
        self._roster = roster
        self._launch = launch
        self._restarts_left = max_restarts
        self.process: asyncio.subprocess.Process | None = None
        self._url = ""

    async def start(self) -> None:
        """Start it and wait until it takes work. Raises UserError, with its last words, where it does not."""
        self.process = process = await self._spawn()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(READY_SECONDS):
                process.stdin.write(self._launch.settings + b"\n")
                with contextlib.suppress(ConnectionError):
                    await process.stdin.drain()
                line = await process.stdout.readline()
            self._url = msgspec.json.decode(line, type=_Ready).url
        except (TimeoutError, msgspec.MsgspecError) as error:
            await self.stop()
            words = self._last_words()
            raise UserError(f"a local worker did not start: {words or error} (log: {self._launch.log})") from None
        self._roster.add_worker(self._url, self._launch.token)

    async def watch(self) -> None:
        """Start it again when it ends, so many times."""
        while self.process is not None:
            code = await self.process.wait()
            reason = f"its process ended with {_ending(code)}"
            _kill_session(self.process.pid)
            self._roster.worker_died(self._url, reason)
            if self._restarts_left <= 0:
                return
            self._restarts_left -= 1
            await self._roster.remove_worker(self._url, reason)
            try:
                await self.start()
            except UserError:
                return

    async def stop(self) -> None:
        """TERM, then KILL; returns when it is gone."""
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        if process.stdin is not None:
            process.stdin.close()  # after the signal: its end alone would have the worker wait for another master
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        finally:
            _kill_session(process.pid)

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._launch.log.parent.mkdir(parents=True, exist_ok=True)
        with self._launch.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self._launch.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=_environment(),
                start_new_session=True,
            )

    def _last_words(self) -> str:
        lines = self._launch.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in KEPT_VARIABLES or name.startswith("LC_")}


def _kill_session(process_id: int) -> None:
    """What the worker may have left in its session; usually nothing."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process_id, signal.SIGKILL)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
