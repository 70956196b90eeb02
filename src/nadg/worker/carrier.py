"""Carries one attempt through the sandbox, from its blobs to its outcome. Whatever fails is an outcome too."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from typing import Protocol

from nadg.domain.assignment import Assignment, SkillCall
from nadg.domain.blob import BlobRef, Blobs
from nadg.domain.clock import Clock
from nadg.domain.errors import LinkLost, NadgError
from nadg.domain.limits import Limits
from nadg.domain.outcome import Outcome, OutcomeKind
from nadg.domain.skill import SkillSpec
from nadg.domain.worker import WorkerInfo
from nadg.link.session import Session
from nadg.sandbox import Ending, OnOutput, Request
from nadg.worker.work import create_outcome, create_request, never_ran

FOUND_AT_ONCE = 500
"""Files up to this many are found on the disk without going to another thread for it."""


class AttemptSandbox(Protocol):
    """What is needed of a sandbox."""

    async def run(self, request: Request, on_output: OnOutput) -> Ending:
        """Cancelling it stops the code and leaves nothing of it."""
        ...


class Carrier:
    """What it takes to carry attempts on this worker."""

    def __init__(
        self,
        info: WorkerInfo,
        sandbox: AttemptSandbox,
        blobs: Blobs,
        skills: Mapping[str, SkillSpec],
        clock: Clock,
        caps: Limits,
    ) -> None:
        self._info, self._caps = info, caps
        self._sandbox, self._blobs, self._skills, self._clock = sandbox, blobs, skills, clock

    async def fetch(self, assignment: Assignment, session: Session, missing: Sequence[BlobRef]) -> Outcome | bool:
        """True: all are here; False: the link went, the next one will bring them; else how it ended."""
        try:
            await session.fetch(missing)
        except LinkLost:
            return False
        except (NadgError, OSError) as error:
            return self.never_ran(assignment, "crashed", f"an input did not arrive: {error}")
        return True

    async def carry(self, assignment: Assignment, on_output: OnOutput) -> Outcome:
        """Run it; its blobs are here."""
        try:
            request = await self._request(assignment)
            ending = await self._sandbox.run(request, on_output)
            job = assignment.job
            skill = self._skills.get(job.skill) if isinstance(job, SkillCall) else None
            return create_outcome(assignment, ending, self._info, skill, self._caps)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this attempt, not all on this worker
            traceback.print_exception(error)
            reason = f"the sandbox could not run it: {type(error).__name__}: {error}"
            return self.never_ran(assignment, "crashed", reason)

    async def _request(self, assignment: Assignment) -> Request:
        """Off the event loop where very many files have to be found."""
        files = sum(len(files) for files in assignment.needs_files.values())
        if files <= FOUND_AT_ONCE:
            return create_request(assignment, self._blobs)
        return await asyncio.to_thread(create_request, assignment, self._blobs)

    def never_ran(self, assignment: Assignment, kind: OutcomeKind, reason: str) -> Outcome:
        """The outcome of an attempt whose code did not run to an end of its own."""
        return never_ran(assignment, kind, reason, self._info, self._clock.now())
