"""The zygote's loop: forks a child for every task it is asked for and reports how each one ended.

The worker is told the wait status of every child that ends; a status comes from the kernel and nowhere else. A
child that could make processes of its own is kept as a zombie until its whole process group is killed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import struct
import sys

from nadg.sandbox import child, protocol


class ForkServer:
    """The fork loop. On Linux the ends of children are seen through pidfds, elsewhere through SIGCHLD."""

    def __init__(self, control: socket.socket, zygote: child.Zygote, tier: str) -> None:
        self._control = control
        self._zygote = zygote
        self._before, self._steps = child.BEFORE_FORK[tier], child.STEPS[tier]
        self._tasks: dict[int, int] = {}
        self._pidfds: dict[int, int] = {}
        self._poller = select.poll()
        self._poller.register(self._control, select.POLLIN)
        self._wakeup = -1 if hasattr(os, "pidfd_open") else self._watch_signals()

    def _watch_signals(self) -> int:
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._poller.register(reader, select.POLLIN)
        return reader

    def serve(self) -> None:
        """Until the worker closes its end; then nothing that was started stays."""
        try:
            while self._turn():
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            for pid in self._tasks:
                _kill(pid)
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.wait()

    def _turn(self) -> bool:
        is_open = True
        for fd, _ in self._poller.poll():
            if fd == self._wakeup:
                with contextlib.suppress(BlockingIOError):
                    os.read(fd, 4096)
                self._reap_any()
            elif fd in self._pidfds:
                self._reap(fd)
            elif not self._accept():
                is_open = False
        return is_open

    def _accept(self) -> bool:
        """Take one order to fork; False at the end of the socket."""
        message, ancillary, flags, _ = self._control.recvmsg(4096, protocol.DESCRIPTORS_BYTES, protocol.CLOEXEC)
        if not message:
            return False
        fds = protocol.descriptors_in(ancillary)
        try:
            if flags & protocol.IS_CUT:
                raise ValueError("not all of an order")
            task, order = self._read_order(message, fds)
        except (struct.error, ValueError, OSError):
            for fd in fds:
                os.close(fd)
            return True  # not the worker's words: nothing is made of them
        try:
            pid = self._fork(order)
        except OSError as error:
            self._control.send(protocol.REFUSED.pack(b"N", task) + str(error).encode()[:1000])
        else:
            self._tasks[pid] = task
            self._tell_started(task, pid)
        finally:
            order.release()
        return True

    def _read_order(self, message: bytes, fds: list[int]) -> tuple[int, child.Child]:
        """Raises struct.error, ValueError or OSError where this is no order."""
        task, has_time, size_bytes, files = protocol.FORK.unpack_from(message)
        lane = message[protocol.FORK.size :]
        if b"\0" in lane or len(fds) != protocol.FORK_FDS or max(size_bytes, files) >= protocol.NO_SIZE:
            raise ValueError("not an order")
        return task, child.Child(self._zygote, lane, has_time, (size_bytes, files), fds)

    def _fork(self, order: child.Child) -> int:
        """The new task's process id; in the task itself this does not return."""
        for step in self._before:
            step(order)
        namespaces = self._zygote.namespaces
        if namespaces is not None:
            namespaces.open_pids()
        try:
            pid = os.fork()
            if pid == 0:
                child.run_child(order, self._steps)
        finally:
            if namespaces is not None:
                namespaces.close_pids()
        return pid

    def _tell_started(self, task: int, pid: int) -> None:
        message = protocol.STARTED.pack(b"S", task, pid)
        if self._wakeup >= 0:
            self._control.send(message)
            return
        pidfd = os.pidfd_open(pid)
        self._pidfds[pidfd] = pid
        self._poller.register(pidfd, select.POLLIN)
        self._control.sendmsg((message,), protocol.with_descriptor(pidfd))

    def _reap(self, pidfd: int) -> None:
        """A child has ended.

        Where it could make processes, it stays a zombie, its group's number its own, until all of them are killed.
        """
        self._poller.unregister(pidfd)
        os.close(pidfd)
        pid = self._pidfds.pop(pidfd)
        if self._zygote.adopts_orphans:
            _kill(pid)
        ended = os.wait4(pid, 0)
        if self._zygote.adopts_orphans:
            _wait_for_group(pid)
            self._reap_any()
        self._tell_exited(*ended)

    def _reap_any(self) -> None:
        """Wait for whatever else has ended: orphans that were adopted, or all where there are no pidfds."""
        with contextlib.suppress(ChildProcessError):
            while True:
                waited = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) if self._pidfds else None
                if waited is not None and waited.si_pid in self._pidfds.values():
                    return
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return
                _kill(pid)
                self._tell_exited(pid, status, used)

    def _tell_exited(self, pid: int, status: int, used: resource.struct_rusage) -> None:
        task = self._tasks.pop(pid, None)
        if task is not None:
            resident = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            times = (used.ru_utime, used.ru_stime)
            self._control.send(protocol.EXITED.pack(b"X", task, status, *times, resident))


def _wait_for_group(group: int) -> None:
    """Until every adopted process of a killed group is gone."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-group, 0)


def _kill(pid: int) -> None:
    """End a task's process group, or the process alone where it has not made its group yet."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
