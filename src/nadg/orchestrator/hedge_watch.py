"""Looks for attempts that are slow, and asks for a second one where a slot would otherwise stand idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from nadg.domain import events as ev
from nadg.domain.clock import Clock
from nadg.orchestrator.hedge_moves import may_hedge
from nadg.orchestrator.hedging import slow_attempts
from nadg.orchestrator.progress import RunProgress

LOOK_SECONDS = 1.0


class HedgeWatch:
    """One run's. Times are those at which the master hears of things, so that workers' clocks do not matter."""

    def __init__(
        self,
        run: RunProgress,
        clock: Clock,
        *,
        free_slots: Callable[[str], int],
        tell: Callable[[ev.AttemptSlow], None],
    ) -> None:
        self._run, self._clock, self._free_slots, self._tell = run, clock, free_slots, tell
        self._begun: dict[str, float] = {}

    def heard(self, event: ev.AttemptEvent) -> None:
        """Learn from what the engine reports, before it is decided upon."""
        match event:
            case ev.AttemptStarted(attempt_id=attempt):
                if attempt in self._run.in_flight:
                    self._begun.setdefault(attempt, self._clock.monotonic())
            case ev.AttemptFinished(attempt_id=attempt, outcome=outcome):
                begun = self._begun.pop(attempt, None)
                if begun is not None and outcome.kind == "succeeded":
                    self._learn(attempt, self._clock.monotonic() - begun)
            case ev.AttemptLost(attempt_id=attempt):
                self._begun.pop(attempt, None)

    async def watch(self) -> None:
        """Look each second, until cancelled; where hedging is switched off, not at all."""
        while self._run.options.hedge:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Tell of the slowest attempts, of no more than there are free slots for."""
        told, full = 0, set[str]()
        for attempt in slow_attempts(self._running()):
            subtask_id, _ = self._run.in_flight[attempt]
            if subtask_id in full or not may_hedge(self._run, attempt):
                continue
            if self._free_slots(attempt) > told:
                told += 1
                self._tell(ev.AttemptSlow(attempt_id=attempt))
            else:
                full.add(subtask_id)

    def _running(self) -> Iterator[tuple[str, float, float | None]]:
        """Every attempt that has begun, for how long it runs, and its bound."""
        now = self._clock.monotonic()
        bounds: dict[str, float | None] = {}
        for attempt in self._run.started:
            subtask_id, index = self._run.in_flight[attempt]
            subtask = self._run.subtasks[subtask_id]
            if subtask_id not in bounds:
                known = self._run.durations.get((subtask_id, subtask.definition))
                bounds[subtask_id] = None if known is None else known.bound(len(subtask.current_shards))
            if subtask.is_like_others(index):
                # One that another master saw begin runs at least since it was first seen here.
                yield attempt, now - self._begun.setdefault(attempt, now), bounds[subtask_id]

    def _learn(self, attempt: str, seconds: float) -> None:
        place = self._run.in_flight.get(attempt)
        if place is not None:
            self._run.learn_duration(self._run.subtasks[place[0]], place[1], seconds)
