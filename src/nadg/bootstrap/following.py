"""A run that another master carries out, followed through the store that both share."""

from __future__ import annotations

import asyncio
from typing import Protocol

from nadg.domain.changes import Change, RunChanged
from nadg.domain.plan import Plan
from nadg.domain.states import is_final
from nadg.store.api import Runs

LOOK_SECONDS = 0.3
"""How often the store is looked at: it is all that two masters share."""
SILENT_LOOKS = 10
"""After so many at which nothing was new it is asked whether the run's master is still there."""


class ToldWatcher(Protocol):
    """Who is told of a run's changes."""

    def run_created(self, run_id: str, plan: Plan) -> None: ...

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


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


async def follow_run(runs: Runs, run_id: str, watcher: CountingWatcher) -> bool:
    """Tell every change from `watcher.count` on; True at the run's end, False where no master holds it any more.

    Raises NotFound where the run is gone.
    """
    silent_looks = 0
    while True:
        events = await runs.events_after(run_id, watcher.count)
        for event in events:
            watcher.changed(run_id, event.change)
            if isinstance(event.change, RunChanged) and is_final(event.change.state):
                return True
        silent_looks = 0 if events else silent_looks + 1
        if silent_looks and silent_looks % SILENT_LOOKS == 0:
            record = await runs.get(run_id)
            if record.orphaned or is_final(record.state):
                return is_final(record.state)
        if not events:
            await asyncio.sleep(LOOK_SECONDS)


async def tell_so_far(runs: Runs, run_id: str, watcher: CountingWatcher) -> None:
    """Tell every change that is stored by now."""
    while events := await runs.events_after(run_id, watcher.count):
        for event in events:
            watcher.changed(run_id, event.change)
