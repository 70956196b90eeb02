"""One task process as the worker holds it: from the order to fork it, through its wait for a job, to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from nadg.domain.limits import Limits
from nadg.sandbox import protocol
from nadg.sandbox.lane import Lane
from nadg.sandbox.pidfds import is_dead, pid_of
from nadg.sandbox.remove import is_empty

_MESSAGE_BYTES: Final = 2000


class Exit(msgspec.Struct, frozen=True):
    """How a task's process ended, as the kernel told the zygote."""

    wait_status: int
    cpu_seconds: float
    max_rss_bytes: int


class TaskProcess:
    """Hears from the zygote, takes a job to the process, kills it, knows when it is over."""

    def __init__(self, lane: Lane, inherited_bytes: int = 0) -> None:
        self.lane = lane
        self.inherited_bytes = inherited_bytes
        """What its zygote had resident, and with it this process from its start."""
        self.exit: Exit | None = None
        self.lost_reason = ""
        """Why nothing more was heard of it; then there is no exit."""
        self.has_started = False
        self.is_over = False
        self.said = b""
        """What it told of its set-up; complete once it is over."""
        self._pid = 0
        self._pidfd: int | None = None
        self._is_killed = False
        self._work_fd: int | None = None
        self._when_over: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._channel, self._theirs = socket.socketpair(socket.AF_UNIX, protocol.SOCKET_KIND)
        self._channel.setblocking(False)

    @property
    def fds(self) -> list[int]:
        """What the process is forked with."""
        return [self._theirs.fileno(), *self.lane.writers]

    def was_ordered(self) -> None:
        """The zygote has the descriptors."""
        self._theirs.close()

    def send_job(self, memory_fd: int, memory_bytes: int, value_fds: Sequence[int]) -> None:
        """Give it its job; where it is dead already, its end tells."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._channel, [protocol.JOB.pack(memory_bytes)], [memory_fd, *value_fds])

    def started(self, pid: int, pidfd: int | None) -> None:
        self._pid, self._pidfd, self.has_started = pid, pidfd, True
        if self._is_killed:
            self.kill()
        elif self.lane.group is not None and pidfd is not None:
            self.lane.group.admit(pidfd)

    def bound(self, limits: Limits, job_bytes: int) -> None:
        """Set what its job may use on the group that it is in, where there is one: before the job is sent."""
        if self.lane.group is not None:
            files_bytes = 0 if self.lane.disk_fds else limits.artifact_bytes
            self.lane.group.limit(limits, self.inherited_bytes + job_bytes + files_bytes, self._pidfd)

    @property
    def has_run_out_of_memory(self) -> bool:
        """Whether the kernel killed it for taking more memory than its group may have."""
        return self.lane.group is not None and self.lane.group.has_run_out_of_memory()

    def exited(self, exit: Exit) -> None:  # noqa: A002 it is the word
        self.exit = exit
        self._over()

    def lost(self, reason: str) -> None:
        """The zygote is gone, and its children die with it; wait for ours where that can be seen."""
        self.lost_reason = reason
        self.kill()
        if self._pidfd is None or self.pid is None:  # there is no process, whatever a broken zygote said
            self._over()
        else:
            self._loop.add_reader(self._pidfd, self._seen_dead, self._pidfd)

    def _seen_dead(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)  # where orphans become this process's children
        self._over()

    def kill(self) -> None:
        """Kill the process, or as soon as it is known. Where that fails, the watchdog ends the zygote."""
        self._is_killed = True
        with contextlib.suppress(OSError):
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            elif self._pid:
                os.kill(self._pid, signal.SIGKILL)
        if self.lane.group is not None and not self.is_over:
            self.lane.group.kill()

    def _over(self) -> None:
        self.is_over = True
        self._hear()
        if self._when_over is not None:
            self._when_over()

    def when_over(self, call: Callable[[], None]) -> None:
        """Call this once it is over; at once where it is."""
        self._when_over = call
        if self.is_over:
            call()

    def _hear(self) -> None:
        """Take what it said on its channel: its work folder, then how its set-up went."""
        for message, fds in received(self._channel):
            if message == protocol.WORK_FOLDER and fds and self._work_fd is None:
                self._work_fd = fds.pop()
            else:
                self.said = message
            for fd in fds:
                os.close(fd)

    @property
    def is_dead(self) -> bool:
        """Whether the process is dead already, though nobody said so yet; False where that cannot be seen."""
        return self._pidfd is not None and is_dead(self._pidfd)

    @property
    def pid(self) -> int | None:
        """Its number as this process sees it, which may differ from the zygote's; None where it is not known."""
        return (self._pid or None) if self._pidfd is None else pid_of(self._pidfd)

    @property
    def work_fd(self) -> int:
        """The folder with what the code left: in memory, where the process has it there."""
        return self.lane.work_fd if self._work_fd is None else self._work_fd

    def take_memory_folder(self) -> int | None:
        """The descriptor of a folder in memory that holds something: the caller closes it, which frees that."""
        folder, self._work_fd = self._work_fd, None
        if folder is None or not is_empty(folder):
            return folder
        os.close(folder)
        return None

    def close(self) -> None:
        """Let go of all that belongs to it but the lane; where it waits for a job, it ends."""
        self._channel.close()
        self._theirs.close()
        for fd in (self._pidfd, self._work_fd):
            if fd is not None:
                self._loop.remove_reader(fd)
                os.close(fd)
        self._pidfd = self._work_fd = None


def received(channel: socket.socket) -> list[tuple[bytes, list[int]]]:
    """All messages that wait on a channel whose other end is closed, with their descriptors.

    An end that was closed with something unread in it is told first, and only once; the messages follow.
    """
    messages: list[tuple[bytes, list[int]]] = []
    was_reset = False
    while True:
        try:
            message, fds, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 1, protocol.CLOEXEC)
        except ConnectionResetError:
            if was_reset:
                return messages
            was_reset = True
            continue
        except OSError:
            return messages
        if not message:
            return messages
        messages.append((message, fds))
