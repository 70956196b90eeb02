"""The worker's end of one zygote: starts it, asks it for tasks, hears how they end, notices when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, Protocol

import msgspec

import nadg
from nadg.domain.errors import SandboxUnavailable
from nadg.sandbox import protocol
from nadg.sandbox.process import Exit

_BOOT: Final = str(Path(__file__).with_name("boot.py"))
_THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)
_KEPT_VARIABLES: Final = ("TZ", "LD_LIBRARY_PATH")
_CLOEXEC: Final = protocol.CLOEXEC
_HAS_PIDFDS: Final = int(hasattr(os, "pidfd_open"))
"""Descriptors that come with the word that a task has started."""
_STOP_SECONDS: Final = 2
_STDERR_TAIL_BYTES: Final = 2000


class TaskEvents(Protocol):
    """What a running task is told by its zygote."""

    @property
    def has_started(self) -> bool:
        """Whether `started` was called."""
        ...

    def started(self, pid: int, pidfd: int | None) -> None:
        """The process exists; the pidfd now belongs to the task."""
        ...

    def exited(self, exit: Exit) -> None:  # noqa: A002 it is the word
        """It has ended and was reaped."""
        ...

    def lost(self, reason: str) -> None:
        """The zygote refused or is gone; nothing more will be heard."""
        ...


class ZygoteProcess:
    """A zygote from its start to its end. Use from one event loop."""

    def __init__(self, name: str, order: protocol.ZygoteOrder) -> None:
        self.name = name
        self.forks = 0
        self.facts: protocol.ZygoteFacts | None = None
        self._order = order
        self._tasks: dict[int, TaskEvents] = {}
        self._is_retiring = False
        self._diagnostics: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 closed in stop
        self._control, theirs = socket.socketpair(socket.AF_UNIX, protocol.SOCKET_KIND)
        self._control.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[protocol.ZygoteFacts] = self._loop.create_future()
        try:
            with theirs:
                self._process = self._spawn(theirs)
        except BaseException:
            self._control.close()
            self._diagnostics.close()
            raise
        self._loop.add_reader(self._control, self._on_message)

    def _spawn(self, control: socket.socket) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            boot_command(control.fileno(), self._order),
            env=clean_environment(self._order.settings_folder),
            stdin=subprocess.DEVNULL,
            stdout=self._diagnostics,
            stderr=self._diagnostics,
            pass_fds=(control.fileno(),),
            start_new_session=True,
            cwd="/",
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._control.fileno() >= 0

    @property
    def running(self) -> int:
        """Tasks that have not ended."""
        return len(self._tasks)

    async def wait_until_ready(self, seconds: float) -> protocol.ZygoteFacts:
        """Raises SandboxUnavailable where it cannot get ready or takes too long."""
        try:
            async with asyncio.timeout(seconds):
                self.facts = await asyncio.shield(self._ready)
        except TimeoutError as error:
            self.kill(f"it was not ready after {seconds:g} s")
            raise SandboxUnavailable(
                f"the '{self.name}' sandbox process was not ready after {seconds:g} s"
            ) from error
        return self.facts

    def fork(self, task: int, order: bytes, fds: Sequence[int], events: TaskEvents) -> None:
        """Ask for a task process. Raises SandboxUnavailable where the zygote is gone or does not listen."""
        try:
            socket.send_fds(self._control, [order], list(fds))
        except OSError as error:
            self.kill(f"it takes no more work: {error}")
            raise SandboxUnavailable(f"the '{self.name}' sandbox process takes no work ({error})") from error
        self._tasks[task] = events
        self.forks += 1

    def _on_message(self) -> None:
        while True:
            try:
                message, fds, flags, _ = socket.recv_fds(self._control, protocol.MAX_MESSAGE_BYTES, 1, _CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                message, fds, flags = b"", [], 0
            try:
                if not message:
                    self._gone("it ended unexpectedly")
                elif flags & protocol.IS_CUT:
                    raise protocol.Nonsense("more than fits into a message")
                else:
                    self._handle(message, fds)
            except protocol.Nonsense as error:
                self._gone(f"it said what a zygote does not say: {error}")
            for fd in fds:
                os.close(fd)  # nobody took it
            if not self.is_alive:
                return

    def _handle(self, message: bytes, fds: list[int]) -> None:
        """Whoever takes a descriptor takes it out of the list. Raises Nonsense, and then nothing is done."""
        match message[:1]:
            case b"S":
                task, pid = protocol.read_started(message)
                events = self._known(task, has_started=False)
                if len(fds) != _HAS_PIDFDS:
                    raise protocol.Nonsense("a start without its process")  # its number is another's here
                events.started(pid, fds.pop() if fds else None)
            case b"X":
                task, status, seconds, resident = protocol.read_exited(message)
                events = self._known(task, has_started=True)
                del self._tasks[task]
                events.exited(Exit(status, seconds, resident))
                self._retire_if_idle()
            case b"N":
                task, reason = protocol.read_refused(message)
                events = self._known(task, has_started=False)
                del self._tasks[task]
                events.lost(f"no process could be made: {reason}")
            case protocol.READY if not self._ready.done():
                self._ready.set_result(protocol.read_ready(message))
            case protocol.FAILED:
                self._gone(protocol.text_of(message[len(protocol.FAILED) :]))
            case _:
                raise protocol.Nonsense("a message of no known kind, or at the wrong time")

    def _known(self, task: int, *, has_started: bool) -> TaskEvents:
        """The task, where this may be said of it now. Raises Nonsense."""
        events = self._tasks.get(task)
        if events is None or events.has_started is not has_started:
            raise protocol.Nonsense(f"word of the task {task} at the wrong time")
        return events

    def _gone(self, reason: str) -> None:
        """The zygote is, or must be, dead: everyone who waits for it is told."""
        if not self.is_alive:
            return
        self._loop.remove_reader(self._control)
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        if not self._ready.done():
            self._ready.set_exception(SandboxUnavailable(self._told(reason)))
            self._ready.exception()  # may never be awaited
        tasks, self._tasks = self._tasks, {}
        for events in tasks.values():
            events.lost(f"the sandbox process was lost: {reason}")

    def _told(self, reason: str) -> str:
        """The reason with the last words on its stderr, where it gave none itself."""
        if reason != "it ended unexpectedly":
            return reason
        fd = self._diagnostics.fileno()
        start = max(0, os.fstat(fd).st_size - _STDERR_TAIL_BYTES)
        lines = os.pread(fd, _STDERR_TAIL_BYTES, start).decode("utf-8", "replace").strip().splitlines()
        return f"the '{self.name}' sandbox process could not start: {lines[-1] if lines else reason}"

    def kill(self, reason: str) -> None:
        """End it now; its tasks are lost."""
        self._gone(reason)

    def retire(self) -> None:
        """Take no more work and end when the last task has."""
        self._is_retiring = True
        self._retire_if_idle()

    def _retire_if_idle(self) -> None:
        if self._is_retiring and not self._tasks:
            self._gone("it was retired")

    async def stop(self) -> None:
        """Close the socket, which ends the zygote and all its tasks, and wait until it is gone."""
        if self.is_alive:
            self._loop.remove_reader(self._control)
            self._control.close()
            tasks, self._tasks = self._tasks, {}
            for events in tasks.values():
                events.lost("the sandbox was closed")
            if not self._ready.done():
                self._ready.cancel()
                self._process.kill()
        await asyncio.to_thread(self._wait)
        self._diagnostics.close()

    def _wait(self) -> None:
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def boot_command(control_fd: int, order: protocol.ZygoteOrder) -> list[str]:
    """What a zygote is executed as: an isolated Python that looks for modules where this one does."""
    search = [str(Path(nadg.__file__).parent.parent)]
    search += [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    python = [sys.executable, "-I", "-B", "-X", "utf8", _BOOT]
    return [*python, str(control_fd), msgspec.json.encode(order).decode(), *search]


def clean_environment(settings_folder: str) -> dict[str, str]:
    """All that a zygote and its tasks have as environment; of the worker's own only time zone and loader path."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {
        **dict.fromkeys(_THREAD_VARIABLES, "1"),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": "task",
        "LOGNAME": "task",
        "HOME": settings_folder,
        "TMPDIR": settings_folder,
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": settings_folder,
        "PYTHONDONTWRITEBYTECODE": "1",
        "JOBLIB_MULTIPROCESSING": "0",
        "MALLOC_ARENA_MAX": "2",
    }
