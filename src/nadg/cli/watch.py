"""The grid's watcher at the command line: folds what happens into progress and puts it on a screen."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from nadg.cli.losses import Losses
from nadg.cli.progress import RunProgress
from nadg.cli.render.estimate import ShownEstimate, estimate_lines
from nadg.cli.render.progress import output_lines
from nadg.cli.render.safe import printable
from nadg.cli.render.writing import writing_lines
from nadg.cli.screen import Screen
from nadg.domain.changes import AttemptChanged, Change, PlanSettled, ShardsAdded, SubtaskChanged
from nadg.domain.ids import parse_attempt_id
from nadg.domain.plan import Plan
from nadg.domain.states import AttemptState, is_final
from nadg.domain.worker import MASTER, WorkerInfo

TICK_SECONDS = 0.2


class SeenWorker(Protocol):
    """What is shown of a worker: it counts once it has said what it is."""

    @property
    def info(self) -> WorkerInfo | None: ...


class ScreenWatcher:
    """Shows one run. Called from the event loop only, so nothing here needs a lock."""

    def __init__(self, screen: Screen, follow: Collection[str] = (), *, elsewhere: bool = False) -> None:
        """`elsewhere`: another process carries the run out, so that no workers are made ready here."""
        self._screen = screen
        self._elsewhere = elsewhere
        self._follow = frozenset(follow)
        self._progress: RunProgress | None = None
        self._workers_total = 0
        self._losses = Losses()
        self._estimate: ShownEstimate | None = None
        self.created = asyncio.Event()
        """Set when the run has an id."""
        self.run_id = ""

    @property
    def ended(self) -> bool:
        """Whether the run has said that it is over."""
        return self._progress is not None and is_final(self._progress.state)

    @property
    def asks_model(self) -> bool:
        """Whether prompt work is under way."""
        return self._progress is not None and any(
            MASTER in one.running.values() for one in self._progress.subtasks.values()
        )

    def run_created(self, run_id: str, plan: Plan, at: datetime.datetime | None = None) -> None:
        """`at`: when, where that was not just now."""
        self.run_id = run_id
        self._progress = RunProgress(run_id, plan, _moment_of(at))
        self.created.set()

    def changed(self, run_id: str, change: Change, at: datetime.datetime | None = None) -> None:
        """`at`: when, where that was not just now."""
        if self._progress is None or run_id != self.run_id:
            return
        self._say(self._losses.lines_before(change))
        subtask = self._progress.apply(change, _moment_of(at))
        self._say(writing_lines(change, len(self._progress.subtasks)))
        if isinstance(change, PlanSettled) and self._estimate is not None:
            self._tell_estimate(self._estimate)
        if subtask is not None and isinstance(change, ShardsAdded) and change.first == subtask.first_shard:
            self._screen.begun(subtask)
        elif subtask is not None and isinstance(change, SubtaskChanged) and is_final(change.state):
            self._screen.ended(subtask)
        if subtask is None or is_final(subtask.state):  # what was called off is not lost
            return
        if isinstance(change, AttemptChanged) and change.state is AttemptState.LOST:
            self._say(self._losses.lost(change, subtask))

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._screen.say(line)

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None:
        key = parse_attempt_id(attempt_id)
        if key.subtask_id in self._follow:
            for line in output_lines(key.subtask_id, key.shard_index, stream, text):
                self._screen.say(line)

    def estimated(self, estimate: ShownEstimate) -> None:
        """It is told below the line that says the plan is whole, which comes once that is stored."""
        self._estimate = estimate

    def _tell_estimate(self, estimate: ShownEstimate) -> None:
        self._say(estimate_lines(estimate))

    def workers(self, views: Sequence[SeenWorker]) -> None:
        self._workers_total = sum(view.info is not None for view in views)

    def notice(self, text: str) -> None:
        self._screen.say(printable(text, keep_lines=False))

    async def tick_until(self, over: asyncio.Event) -> None:
        """Redraw a few times a second until `over` is set, then leave the last state standing."""
        try:
            while not over.is_set():
                self._tick()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), TICK_SECONDS)
        finally:
            self._tick()
            self._screen.close()

    def _tick(self) -> None:
        self._say(self._losses.lines_before(None))
        if self._progress is not None or not self._elsewhere:
            self._screen.tick(self._progress, self._workers_total)


def _moment_of(at: datetime.datetime | None) -> float:
    """A time of day on the monotonic clock that the screen reads; one that is still to come here, by a clock that
    differs, counts as now.
    """
    if at is None:
        return time.monotonic()
    ago = time.time() - at.timestamp()
    return time.monotonic() - max(0.0, ago)
