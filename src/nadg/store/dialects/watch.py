"""Ends what waits for an answer that never comes: from outside, by shutting the connection's socket down.

A thread that waits for a server which stopped, or for one behind a cut wire, cannot look at a clock itself.
What was cut is given twice the time when it is tried again: a large write over a slow line needs it, and would
else be cut for ever.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MOST_TIMES = 16
"""So many times the bound at most, however often a thread's calls were cut one after another."""


class Line:
    """A connection's socket by a descriptor of its own: valid, whatever the driver does with its."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))

    def cut(self) -> None:
        """Whoever reads from it gets an error at once."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Without effect on the connection."""
        self._socket.close()


class _Call:
    """Something that a thread does with the database."""

    def __init__(self, seconds: float, times: int) -> None:
        self.seconds, self.times = seconds * times, times
        self.deadline = time.monotonic() + self.seconds
        self.line: Line | None = None
        self.overdue = False


class Watch:
    """Cuts the line of whatever takes longer than the bound. Its thread lives from the first call to `close`."""

    def __init__(self, bound_seconds: float) -> None:
        self._bound_seconds = bound_seconds
        self._mine = threading.local()
        self._changed = threading.Condition()
        self._calls: set[_Call] = set()
        self._thread: threading.Thread | None = None
        self._asleep = self._closed = False

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """What this thread does inside."""
        last = self._call()
        times = min(2 * last.times, MOST_TIMES) if last is not None and last.overdue else 1
        call = self._mine.call = _Call(self._bound_seconds, times)
        with self._changed:
            self._calls.add(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nadg-store-watch", daemon=True)
                self._thread.start()
            elif self._asleep:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._calls.discard(call)

    def use(self, line: Line) -> None:
        """This thread's call goes on over that line."""
        if (call := self._call()) is not None:
            with self._changed:
                call.line = line
                if call.overdue:
                    line.cut()

    def allow(self, seconds: float) -> None:
        """This thread's call may take so long from now."""
        if (call := self._call()) is not None:
            with self._changed:
                call.deadline = time.monotonic() + seconds

    def overdue_seconds(self) -> float | None:
        """After how long this thread's latest call was ended here; None where it was not."""
        call = self._call()
        return call.seconds if call is not None and call.overdue else None

    def close(self) -> None:
        """End the thread; what is under way is bounded no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _call(self) -> _Call | None:
        call: _Call | None = getattr(self._mine, "call", None)
        return call

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for call in self._calls:
                    if call.deadline <= now and not call.overdue:
                        call.overdue = True
                        if call.line is not None:
                            call.line.cut()
                waiting = [call.deadline for call in self._calls if not call.overdue]
                self._asleep = not waiting
                self._changed.wait(min(waiting) - now if waiting else None)
                self._asleep = False
