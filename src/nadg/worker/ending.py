"""How a worker learns that it is to end: a signal, or that its master is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
ORPHANED = signal.SIGHUP
"""What the kernel sends, where it does, when the process that started this one is gone."""


class EndOfWork:
    """`told` once somebody asked it to stop; that the process is gone that started it only ends `wait`."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self._either = asyncio.Event()

    async def wait(self) -> bool:
        """Return at the first of both: True where nobody told it."""
        await self._either.wait()
        return not self.told.is_set()

    def tell(self) -> None:
        self.told.set()
        self._either.set()

    def orphan(self) -> None:
        self._either.set()

    def read_stdin(self) -> None:
        """Something came on stdin, or its end."""
        if not os.read(sys.stdin.fileno(), 1 << 16):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.orphan()


@contextlib.contextmanager
def watch_for_end(on_eof: bool) -> Iterator[EndOfWork]:
    """Hear signals, and with `on_eof` the end of stdin, until the end of the `with`."""
    end = EndOfWork()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, end.tell)
    if on_eof:
        loop.add_signal_handler(ORPHANED, end.orphan)
        loop.add_reader(sys.stdin.fileno(), end.read_stdin)
    try:
        yield end
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
        if on_eof:
            loop.remove_signal_handler(ORPHANED)
            loop.remove_reader(sys.stdin.fileno())
