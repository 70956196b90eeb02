"""How a run is carried out in this process: its models paid for, and watched on where another master takes it."""

from __future__ import annotations

import asyncio
import contextlib

from nadg.bootstrap.asked import ModelWishes
from nadg.bootstrap.carrying import CarriedWatcher, Planning, RunCarrier
from nadg.bootstrap.deriving import DerivedRun
from nadg.bootstrap.following import CountingWatcher, follow_run, tell_so_far
from nadg.bootstrap.models import Notice, open_account
from nadg.bootstrap.needed import needed_blobs
from nadg.bootstrap.planners import Planners
from nadg.bootstrap.streaming import plan_anew
from nadg.bootstrap.watching import Watcher
from nadg.domain.blob import Blobs
from nadg.domain.clock import Clock
from nadg.domain.errors import LeaseLost, UserError
from nadg.domain.inputs import InputFile
from nadg.domain.model_calls import Budget
from nadg.domain.run import Lease, NewRun, RunRecord
from nadg.models.account import RunAccount
from nadg.models.call import Door
from nadg.orchestrator.loop import RunLoop
from nadg.orchestrator.model_access import ModelAccess
from nadg.settings import Settings
from nadg.store.api import Store


class Carriage:
    """Runs, each with an account of its own."""

    def __init__(
        self,
        settings: Settings,
        wishes: ModelWishes,
        *,
        store: Store,
        blobs: Blobs,
        planners: Planners,
        door: Door | None,
        carrier: RunCarrier,
        clock: Clock,
        follows: bool,
    ) -> None:
        """`follows`: a run that another master took over is watched to its end; else LeaseLost is raised."""
        self._settings, self._wishes, self._store, self._blobs = settings, wishes, store, blobs
        self._planners, self._door, self._carrier, self._clock = planners, door, carrier, clock
        self._follows = follows

    async def account(
        self, run_id: str, budget: Budget, notice: Notice, use_cache: bool | None = None
    ) -> RunAccount:
        """Who pays for the calls of a run, as far as it got."""
        cached = self._wishes.use_cache if use_cache is None else use_cache
        return await open_account(run_id, budget, cached, self._store, self._clock, notice)

    async def carry(
        self, new: NewRun, watcher: Watcher, account: RunAccount, planning: Planning | None = None
    ) -> RunRecord:
        """`account` pays for all calls, those that plan included: a second one would not see the first one's."""
        told = CountingWatcher(watcher)
        try:
            return await self._carrier.carry(new, told, self._access(account), planning)
        except LeaseLost as error:
            return await self._watched_on(new.id, told, watcher.notice, error)

    async def carry_derived(self, derived: DerivedRun, watcher: Watcher) -> RunRecord:
        """A run that begins with what another one did; what of its plan was not written yet is planned anew."""
        new, told = derived.new, CountingWatcher(watcher)
        account = await self.account(new.id, new.options.budget, watcher.notice, new.options.use_cache)
        planning = self._planning(new.command, new.inputs, account)
        try:
            access = self._access(account)
            return await self._carrier.carry_derived(new, derived.kept.changes, told, access, planning)
        except LeaseLost as error:
            return await self._watched_on(new.id, told, watcher.notice, error)

    async def take_over(self, record: RunRecord, watcher: Watcher) -> RunRecord:
        """Carry a run on whose master is gone. Raises UserError where another one has it, or files are missing."""
        missing = await asyncio.to_thread(lambda: sum(not self._blobs.has(one) for one in needed_blobs(record)))
        if missing:
            raise UserError(
                f"run {record.id} cannot go on here: {missing:,} of its files are elsewhere; resume it where it "
                "was started, or share them by NADG_BLOBS"
            )
        runs, told = self._store.runs, CountingWatcher(watcher)
        lease = await runs.claim(record.id, self._carrier.owner, self._settings.lease_seconds)
        if lease is None:
            raise UserError(
                f"run {record.id} was taken over by another master, or ended; "
                f"watch it: `nadg runs attach {record.id}`"
            )
        told.run_created(record.id, record.plan)
        try:
            await tell_so_far(runs, record.id, told)
            return await self.go_on(record, lease, told, watcher.notice)
        except LeaseLost as error:
            return await self._watched_on(record.id, told, watcher.notice, error)

    async def go_on(self, record: RunRecord, lease: Lease, watcher: CarriedWatcher, notice: Notice) -> RunRecord:
        """Carry a run to its end that was claimed from a master that is gone. Raises LeaseLost.

        What of its plan was not written yet is planned anew, with the rest.
        """
        options = record.options
        account = await self.account(record.id, options.budget, notice, options.use_cache)
        planning = self._planning(record.command, record.inputs, account)
        return await self._carrier.resume(lease, watcher, self._access(account), planning)

    async def _watched_on(self, run_id: str, told: CountingWatcher, notice: Notice, lost: LeaseLost) -> RunRecord:
        """What comes after the loss of a lease. Raises it where nobody watches here."""
        if not self._follows:
            raise lost
        notice(f"Another master took run {run_id} over; it is watched from here on.")
        return await self._followed(run_id, told, notice)

    async def _followed(self, run_id: str, told: CountingWatcher, notice: Notice) -> RunRecord:
        """The run at its end, whoever carries it there; this master does where the other one is gone, too."""
        runs = self._store.runs
        while not await follow_run(runs, run_id, told):
            lease = await runs.claim(run_id, self._carrier.owner, self._settings.lease_seconds)
            if lease is not None:
                with contextlib.suppress(LeaseLost):
                    return await self.go_on(await runs.get(run_id), lease, told, notice)
        return await runs.get(run_id)

    def _planning(self, command: str, inputs: tuple[InputFile, ...], account: RunAccount) -> Planning:
        async def plan_again(loop: RunLoop) -> None:
            await plan_anew(loop, command, inputs, self._planners, account, self._settings.default_limits)

        return plan_again

    def _access(self, account: RunAccount) -> ModelAccess | None:
        if self._door is None:
            return None
        return ModelAccess(door=self._door, account=account, concurrency=self._settings.model_concurrency)
