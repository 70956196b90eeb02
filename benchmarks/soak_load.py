"""Carries the soak's tasks through one worker, kills its warm processes meanwhile, and judges every end."""

from __future__ import annotations

import asyncio
import datetime
import os
import random
import signal
from collections.abc import Callable
from typing import Any

import psutil
from soak_findings import Findings
from soak_task import SoakTask

from nadg.domain.events import AttemptEvent, AttemptFinished, AttemptLost
from nadg.domain.outcome import Outcome
from nadg.engines.grid import GridEngine
from nadg.link.blobfolder import BlobFolder

TRIES = 5
"""Of one task whose warm process was killed under it."""


class Soak:
    """Carries tasks through one worker, and is the sink of what becomes of them."""

    def __init__(self, engine: GridEngine, blobs: BlobFolder, worker: int, findings: Findings) -> None:
        self._engine, self._blobs, self._worker = engine, blobs, worker
        self.findings = findings
        self._ends: dict[str, asyncio.Future[Outcome | str]] = {}
        self._spoke: dict[str, asyncio.Event] = {}
        self._kills: list[datetime.datetime] = []

    def event(self, event: AttemptEvent) -> None:
        if isinstance(event, AttemptFinished):
            self._engine.acknowledge([event.attempt_id])
            self._ends[event.attempt_id].set_result(event.outcome)
        elif isinstance(event, AttemptLost):
            self._ends[event.attempt_id].set_result(event.reason)

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        if attempt_id in self._spoke:
            self._spoke[attempt_id].set()

    async def carry(self, task: SoakTask, number: int) -> None:
        """Carry one task to its end, again where its warm process was killed, and judge it."""
        for turn in range(1, TRIES + 1):
            end = await self._try(task, f"soak/{task.kind.replace('/', '-')}/{number}/{turn}")
            if isinstance(end, str) or (end.kind == "crashed" and not self._is_explained(end)):
                reason = end if isinstance(end, str) else end.reason
                self.findings.unexplained.append(f"{task.kind} {number}: {reason}")
                return
            if end.kind != "crashed":
                self._judge(task, number, end)
                return
            self.findings.made_again += 1
        self.findings.unexplained.append(f"{task.kind} {number}: crashed {TRIES} times")

    def _judge(self, task: SoakTask, number: int, outcome: Outcome) -> None:
        self.findings.counts[task.kind] += 1
        problem = task.judge(outcome, self._blobs)
        if problem:
            bad = self.findings.uncontained if task.is_attack else self.findings.wrong
            bad.append(f"{task.kind} {number}: {problem}")

    async def _try(self, task: SoakTask, attempt_id: str) -> Outcome | str:
        """One attempt: its outcome, or why it was lost."""
        end: asyncio.Future[Outcome | str] = asyncio.get_running_loop().create_future()
        self._ends[attempt_id] = end
        if task.cancel_when_it_speaks:
            self._spoke[attempt_id] = asyncio.Event()
        await self._engine.submit(task.assignment(attempt_id), self)
        if task.cancel_when_it_speaks:
            speaking = asyncio.ensure_future(self._spoke[attempt_id].wait())
            either: list[asyncio.Future[Any]] = [speaking, end]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            speaking.cancel()
            await self._engine.cancel(attempt_id)
        await asyncio.wait([end])
        del self._ends[attempt_id]
        self._spoke.pop(attempt_id, None)
        return end.result()

    def kill_warm_process(self, chance: random.Random) -> None:
        """SIGKILL to one of the worker's children, from outside."""
        children = psutil.Process(self._worker).children()
        if children:
            self._kills.append(datetime.datetime.now(datetime.UTC))
            self.findings.kills += 1
            os.kill(chance.choice(sorted(child.pid for child in children)), signal.SIGKILL)

    def _is_explained(self, outcome: Outcome) -> bool:
        """Whether a kill fell into it, or so shortly before that the worker did not know yet."""
        first = outcome.receipt.started_at - datetime.timedelta(seconds=1)
        return any(first <= at <= outcome.receipt.finished_at for at in self._kills)


async def run_tasks(soak: Soak, numbers: range, width: int, draw_task: Callable[[int], SoakTask]) -> None:
    """Carry the tasks of these numbers, so many at a time."""
    left = iter(numbers)

    async def take_turns() -> None:
        for number in left:
            await soak.carry(draw_task(number), number)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(width):
            tasks.create_task(take_turns())
