"""Rings when something happened to a run, so that whoever waits for it need not look again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Bell:
    """One for all runs; belongs to one event loop."""

    def __init__(self) -> None:
        self._listening: dict[str, set[asyncio.Event]] = {}
        self.closed = False
        """Nobody is to wait any longer."""

    @contextmanager
    def listening(self, run_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever it rings for this run, and once it is closed."""
        rung = asyncio.Event()
        self._listening.setdefault(run_id, set()).add(rung)
        try:
            yield rung
        finally:
            self._listening[run_id].discard(rung)
            if not self._listening[run_id]:
                del self._listening[run_id]

    def ring(self, run_id: str) -> None:
        """Something happened to the run."""
        for rung in self._listening.get(run_id, ()):
            rung.set()

    def close(self) -> None:
        """Let everybody go who waits, now and later."""
        self.closed = True
        for run_id in tuple(self._listening):
            self.ring(run_id)
