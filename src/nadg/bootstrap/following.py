"""A run that another master carries out, followed through the store that both share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from nadg.domain.changes import Change, RunChanged
from nadg.domain.plan import Plan
from nadg.domain.states import is_final
from nadg.store.api import StoredEvent

LOOK_SECONDS = 0.3
"""How often the store is looked at: it is all that two masters share."""


class ToldWatcher(Protocol):
    """Who is told of a run's changes."""

    def run_created(self, run_id: str, plan: Plan) -> None: ...

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class EventLog(Protocol):
    """What is needed of the store."""

    async def events_after(self, run_id: str, seq: int, limit: int = 1000) -> Sequence[StoredEvent]: ...


class CountingWatcher:
    """Passes everything on, and knows the sequence number of the last change: each has an event of its own."""

    def __init__(self, watcher: ToldWatcher, count: int = 0) -> None:
        self._watcher = watcher
        self.count = count

    def run_created(self, run_id: str, plan: Plan) -> None:
        self._watcher.run_created(run_id, plan)

    def changed(self, run_id: str, change: Change) -> None:
        self.count += 1
        self._watcher.changed(run_id, change)

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None:
        self._watcher.output(run_id, attempt_id, stream, text)


async def follow_run(runs: EventLog, run_id: str, seq: int, watcher: ToldWatcher) -> None:
    """Tell every change after `seq` until the run has ended, for as long as that takes."""
    while True:
        events = await runs.events_after(run_id, seq)
        for event in events:
            seq = event.seq
            watcher.changed(run_id, event.change)
            if isinstance(event.change, RunChanged) and is_final(event.change.state):
                return
        if not events:
            await asyncio.sleep(LOOK_SECONDS)
