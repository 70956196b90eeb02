"""Runs attempts: brings their blobs here, gives them slots in turn, keeps each end until it is acknowledged.

Several masters share the slots fairly. A link that breaks costs nothing for the grace time, in which another
master may take a run over; what is left of one that stays away longer is cancelled and forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Literal

from nadg.domain.assignment import Assignment
from nadg.domain.blob import BlobRef
from nadg.domain.clock import Clock
from nadg.domain.errors import LinkRefused, NadgError
from nadg.domain.ids import run_of
from nadg.domain.limits import Limits
from nadg.domain.outcome import Outcome
from nadg.domain.skill import SkillSpec
from nadg.domain.worker import WorkerInfo
from nadg.link.blobfolder import BlobFolder
from nadg.link.frames import Drain, Finished, Holding, Refused, Started
from nadg.link.session import LOOKED_UP_AT_ONCE, Session
from nadg.sandbox import OnOutput
from nadg.worker.carrier import AttemptSandbox, Carrier
from nadg.worker.slots import Slots
from nadg.worker.tenant import Held, Tenant
from nadg.worker.tenants import Tenants
from nadg.worker.terms import Terms
from nadg.worker.totals import Totals
from nadg.worker.work import lack, result_blobs


class NoSlot(NadgError):
    """Every slot is taken."""


class Runner:
    """The attempts of one worker. `run` owns every task it starts."""

    def __init__(
        self,
        info: WorkerInfo,
        *,
        sandbox: AttemptSandbox,
        blobs: BlobFolder,
        skills: Mapping[str, SkillSpec],
        clock: Clock,
        backlog: int,
        grace_seconds: float,
        caps: Limits,
    ) -> None:
        self.info = info
        self.caps = caps
        """The most that an attempt may use here."""
        self.totals = Totals()
        self.window = info.slots + backlog
        self._carrier = Carrier(info, sandbox, blobs, skills, clock, caps)
        self._blobs, self._skills, self._clock = blobs, skills, clock
        self._grace_seconds = grace_seconds
        self.slots = Slots(info.slots)
        self._tenants = Tenants(self.slots, clock, grace_seconds, self._give_up)
        self._terms = Terms(self._tenants.held_runs)
        self.draining = ""
        self._tasks = asyncio.TaskGroup()

    async def run(self) -> None:
        """Keep house until cancelled; then every attempt is stopped before this returns."""
        async with self._tasks:
            try:
                while True:
                    await self._tenants.forget_gone()
            finally:
                self.draining = self.draining or "the worker stops"

    # -- links

    def attach(self, master_id: str, session: Session) -> Tenant:
        """A master's link opened; one it had before is closed. `resume` follows, once it was greeted."""
        return self._tenants.attach(master_id, session)

    def resume(self, tenant: Tenant) -> None:
        """Say again what was not acknowledged, and fetch again what did not come."""
        self._say_again(tenant.held.values())
        if self.draining:
            tenant.say(Drain(reason=self.draining))

    def detach(self, tenant: Tenant, session: Session) -> None:
        """A link ended; its attempts go on for the grace time."""
        self._tenants.detach(tenant, session)

    def adopt(self, tenant: Tenant, run_id: str, term: int) -> None:
        """A master owns the run now: what is here of it is that master's, unless its term is an old one."""
        if not self._terms.accept(run_id, term):
            tenant.say(Holding(run_id=run_id, term=term))
            return
        helds = self._tenants.move(run_id, tenant)
        attempts = tuple(held.attempt_id for held in helds)
        begun = tuple(held.attempt_id for held in helds if held.begun)
        tenant.say(Holding(run_id=run_id, term=term, attempts=attempts, started=begun))
        self._say_again(helds)
        self._fill_slots()

    def assign(self, tenant: Tenant, assignment: Assignment) -> None:
        """Take an attempt, or say why not."""
        if assignment.attempt_id in tenant.held:
            return
        if not self._terms.accept(run_of(assignment.attempt_id), assignment.term):
            reason = "the run is another master's now"
            tenant.say(Refused(attempt_id=assignment.attempt_id, why="deposed", reason=reason))
            return
        busy = "" if tenant.unfinished < self.window else f"{self.window} attempts are here already"
        cannot = lack(assignment, self.info, self._skills)
        if cannot or busy or self.draining:
            why: Literal["busy", "cannot"] = "cannot" if cannot else "busy"
            tenant.say(Refused(attempt_id=assignment.attempt_id, why=why, reason=cannot or self.draining or busy))
            return
        held = Held(assignment=assignment, tenant=tenant, blobs=assignment.blobs())
        tenant.add(held)
        self._blobs.pin(held.blobs)
        self._prepare(held)

    def cancel(self, tenant: Tenant, attempt_id: str) -> None:
        """Stop an attempt; it ends as cancelled unless it has ended."""
        held = tenant.held.get(attempt_id)
        if held is None or held.cancelled or held.state == "finished":
            return
        held.cancelled = True
        if held.task is not None:
            held.task.cancel()
        else:
            self._finish(held, self._carrier.never_ran(held.assignment, "cancelled", "cancelled before it began"))

    def acknowledge(self, tenant: Tenant, attempt_id: str) -> None:
        """The master has this end; forget it."""
        held = tenant.held.get(attempt_id)
        if held is not None and held.outcome is not None:
            tenant.remove(held)
            self._blobs.unpin(result_blobs(held.outcome))
            if self.draining:
                self._tenants.changed()

    # -- one attempt for a caller that waits

    async def run_now(self, assignment: Assignment, on_output: OnOutput) -> Outcome:
        """Run an attempt in a free slot. Raises NoSlot where there is none."""
        if self.slots.full or self.draining:
            raise NoSlot(self.draining or f"all {self.slots.count} slots are taken")
        self.slots.take()
        try:
            return await self._carrier.carry(assignment, on_output)
        finally:
            self._free_slot()

    # -- the worker as a whole

    @property
    def waiting(self) -> int:
        """Attempts that wait for blobs or for a slot."""
        return sum(held.state in ("lacking", "ready") for held in self._tenants.held())

    def drain(self, reason: str) -> None:
        """Take nothing new, and give back what has not begun."""
        self.draining = reason
        for tenant in self._tenants:
            tenant.say(Drain(reason=reason))
            for held in list(tenant.held.values()):
                if held.state == "ready" or (held.state == "lacking" and held.task is None):
                    self._hand_back(held)
            tenant.ready.clear()

    async def wait_settled(self) -> None:
        """Return when nothing runs and every master that is there has all ends and their blobs."""
        await self.slots.wait_idle()
        await self._tenants.wait_empty(linked_only=True)

    async def wait_handed_over(self) -> None:
        """Return when nothing runs, and every end was acknowledged or has waited for the grace time.

        What a master began that is gone runs on for that time, and beyond it where another one took it over.
        """
        await self.slots.wait_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace_seconds):
                await self._tenants.wait_empty(linked_only=False)

    def say_goodbye(self, reason: str) -> None:
        """Close every link."""
        for tenant in self._tenants:
            if tenant.session is not None:
                tenant.session.close(reason)

    # -- within

    def _say_again(self, helds: Iterable[Held]) -> None:
        """To a new link or a new master: what has ended; and fetch what did not come."""
        for held in list(helds):
            if held.state == "finished":
                self._report(held)
            elif held.state == "lacking" and held.task is None:
                self._prepare(held)

    def _prepare(self, held: Held) -> None:
        """Make it ready, after its blobs came where any are missing."""
        refs = [BlobRef(sha256=sha256, size=size) for sha256, size in held.blobs.items()]
        if len(refs) <= LOOKED_UP_AT_ONCE or held.tenant.session is None:
            refs = [ref for ref in refs if not self._blobs.has(ref.sha256)]  # the fetch lets others go on
        if not refs:
            self._make_ready(held)
        elif held.tenant.session is not None:
            task = self._tasks.create_task(self._carrier.fetch(held.assignment, held.tenant.session, refs))
            task.add_done_callback(lambda task: self._fetched(held, task))
            held.task = task

    def _fetched(self, held: Held, task: asyncio.Task[Outcome | bool]) -> None:
        held.task = None
        if task.cancelled():
            self._finish(held, self._carrier.never_ran(held.assignment, "cancelled", "cancelled before it began"))
        elif isinstance(came := task.result(), Outcome):
            self._finish(held, came)
        elif came:
            self._make_ready(held)
        elif held.tenant.session is not None:
            self._prepare(held)  # a newer link is there already

    def _make_ready(self, held: Held) -> None:
        if self.draining:
            self._hand_back(held)
            return
        held.state = "ready"
        held.tenant.ready.append(held)
        self._fill_slots()

    def _fill_slots(self) -> None:
        while not (self.slots.full or self.draining):
            held = self.slots.next_ready()
            if held is None:
                return
            self._start(held)

    def _hand_back(self, held: Held) -> None:
        """Let the master give it to another worker: it has not begun."""
        held.tenant.remove(held)
        self._blobs.unpin(held.blobs)
        held.tenant.say(Refused(attempt_id=held.attempt_id, why="busy", reason=self.draining))
        self._tenants.changed()

    def _start(self, held: Held) -> None:
        held.state, held.begun = "running", True
        self.slots.take()
        held.tenant.say(Started(attempt_id=held.attempt_id, at=self._clock.now()), soon=False)
        task = self._tasks.create_task(self._carrier.carry(held.assignment, held.output))
        task.add_done_callback(lambda task: self._ended(held, task))
        held.task = task

    def _ended(self, held: Held, task: asyncio.Task[Outcome]) -> None:
        """Its task is over: also where it was cancelled before its first step."""
        held.task = None
        if task.cancelled():
            self._finish(held, self._carrier.never_ran(held.assignment, "cancelled", "cancelled while it ran"))
        elif task.exception() is None:
            self._finish(held, task.result())
        self._free_slot()

    def _finish(self, held: Held, outcome: Outcome) -> None:
        """It has ended: keep the end and report it; nobody is left to hear of a dropped one."""
        is_wanted = held.tenant.note_end(held, outcome)
        self._blobs.pin(result_blobs(outcome))
        self._blobs.unpin(held.blobs)
        self.totals.count(outcome)
        if is_wanted:
            self._report(held)
        else:
            self._blobs.unpin(result_blobs(outcome))

    def _report(self, held: Held) -> None:
        session, outcome = held.tenant.session, held.outcome
        if session is None or outcome is None:
            return
        try:
            session.send(Finished(attempt_id=held.attempt_id, outcome=outcome), soon=not held.tenant.ready)
        except LinkRefused as error:
            reason = f"its outcome cannot be sent: {error}"
            short = Outcome(kind="failed", receipt=outcome.receipt, reason=reason)
            session.send(Finished(attempt_id=held.attempt_id, outcome=short))

    def _free_slot(self) -> None:
        self.slots.free()
        self._fill_slots()

    def _give_up(self, tenant: Tenant, held: Held) -> None:
        """Its master is gone for too long."""
        self.cancel(tenant, held.attempt_id)
        self.acknowledge(tenant, held.attempt_id)
