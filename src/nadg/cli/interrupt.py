"""Ctrl-C in two steps: the first asks the run to end cleanly, the second stops waiting for that."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The user, the system, and a terminal that was closed."""


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
        """Catch the signals while inside; from the second one on they act as they do by default.

        `on_second` is called once, from the event loop.
        """
        loop = asyncio.get_running_loop()

        def received(which: signal.Signals) -> None:
            if not self.asked.is_set():
                self.signal = which
                self.asked.set()
                return
            for one in SIGNALS:
                loop.remove_signal_handler(one)
            on_second()

        for one in SIGNALS:
            loop.add_signal_handler(one, received, one)
        try:
            yield
        finally:
            for one in SIGNALS:
                loop.remove_signal_handler(one)
