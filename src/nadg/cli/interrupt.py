"""Ctrl-C in two steps: the first asks the run to end cleanly, the second stops waiting for that."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The user, the system, and a terminal that was closed."""
_Handlers = dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None]


class Interruption:
    """Whether and how often the user, or the system, asked to stop."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """Set by the first signal."""
        self.signal = signal.SIGINT
        """The first one, once there was one."""

    @property
    def by_user(self) -> bool:
        """Whether it was Ctrl-C."""
        return self.signal is signal.SIGINT

    @property
    def reason(self) -> str:
        """What the run is told."""
        return "cancelled by the user" if self.by_user else f"cancelled by {self.signal.name}"

    @contextmanager
    def listening(self, on_second: Callable[[], object]) -> Iterator[None]:
        """Catch the signals while inside; from the second one on, and afterwards, they act as they did before.

        `on_second` is called once, from the event loop.
        """
        loop = asyncio.get_running_loop()
        before = {one: signal.getsignal(one) for one in SIGNALS}

        def received(which: signal.Signals) -> None:
            if not self.asked.is_set():
                self.signal = which
                self.asked.set()
                return
            _give_back(loop, before)
            on_second()

        for one in SIGNALS:
            loop.add_signal_handler(one, received, one)
        try:
            yield
        finally:
            _give_back(loop, before)


def _give_back(loop: asyncio.AbstractEventLoop, before: _Handlers) -> None:
    """The loop alone would put Python's own handler there, whose KeyboardInterrupt breaks into whatever task runs;
    that of `asyncio.run` cancels the main task.
    """
    for one, handler in before.items():
        if loop.remove_signal_handler(one) and handler is not None:
            signal.signal(one, handler)
