"""A grid in this process: the store, the engine with its workers, and the runs that go over it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from nadg.bootstrap.asked import HOW_TO_CONFIGURE, ModelWishes, options_of_run, written_by_model
from nadg.bootstrap.carriage import Carriage
from nadg.bootstrap.carrying import CarriedWatcher, RunCarrier
from nadg.bootstrap.database import OPENING_SECONDS, open_for_run
from nadg.bootstrap.demands import require_workers
from nadg.bootstrap.deriving import DerivationAsked, DerivedRun, derive_run
from nadg.bootstrap.home import Home
from nadg.bootstrap.models import Notice, open_models, say_nothing
from nadg.bootstrap.planners import BUILTIN, Planned, Planners
from nadg.bootstrap.planning import (
    GivenPlan,
    PlannedRun,
    checked_command,
    create_planners,
    new_run_id,
    plan_run,
    read_plan,
    take_inputs,
    worker_labels,
)
from nadg.bootstrap.review import estimate_of
from nadg.bootstrap.streaming import PlanStream, cancelled_at_the_end, within
from nadg.bootstrap.watching import Watcher as Watcher
from nadg.bootstrap.workers import WorkerPool
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import UserError
from nadg.domain.inputs import InputFile
from nadg.domain.plan import Plan
from nadg.domain.run import Lease, NewRun, RunOptions, RunRecord
from nadg.domain.tier import strongest
from nadg.engines.grid import GridEngine, GridSettings
from nadg.link.blobfolder import BlobFolder
from nadg.models.call import Door
from nadg.orchestrator.answer import compose_answer
from nadg.orchestrator.export import export_run, run_document
from nadg.settings import Settings
from nadg.store.api import Store


class Grid:
    """Plans and runs. Workers are found or started when the first run needs them."""

    def __init__(
        self,
        settings: Settings,
        wishes: ModelWishes,
        *,
        store: Store,
        blobs: BlobFolder,
        engine: GridEngine,
        pool: WorkerPool,
        planners: Planners,
        door: Door | None,
        carrier: RunCarrier,
        clock: Clock,
        follows: bool = True,
    ) -> None:
        """`follows`: a run that another master took over is watched to its end; else LeaseLost is raised."""
        self._settings, self._wishes, self._store, self._blobs = settings, wishes, store, blobs
        self._engine, self._pool, self._planners, self._door, self._clock = engine, pool, planners, door, clock
        self._carrier = carrier
        self._carriage = Carriage(
            settings,
            wishes,
            store=store,
            blobs=blobs,
            planners=planners,
            door=door,
            carrier=carrier,
            clock=clock,
            follows=follows,
        )

    @property
    def asks_model_for_plans(self) -> bool:
        """Whether commands are planned by a language model."""
        return self._planners.writer is not None

    async def plan(
        self, command: str | None, plan_file: Path | None, inputs: Sequence[Path], notice: Notice = say_nothing
    ) -> PlannedRun:
        """A validated plan; nothing runs. Raises UserError with everything that is wrong, or a ModelError."""
        files = await asyncio.to_thread(take_inputs, inputs, self._blobs)
        given = None if plan_file is None else await asyncio.to_thread(read_plan, plan_file)
        return await self.plan_taken(command, given, files, new_run_id(self._clock), notice)

    async def plan_taken(
        self,
        command: str | None,
        given: GivenPlan | None,
        files: tuple[InputFile, ...],
        run_id: str,
        notice: Notice,
    ) -> PlannedRun:
        """As `plan`, for input files that are taken in already and a run whose id is known."""
        account = await self._carriage.account(run_id, self._wishes.budget, notice)
        limits = self._settings.default_limits
        return await plan_run(
            command, given, files, planners=self._planners, account=account, default_limits=limits
        )

    async def run(self, planned: PlannedRun, options: RunOptions, watcher: Watcher) -> RunRecord:
        """Carry a plan out to its end, however it ends. Raises UserError before anything ran.

        The settings' sandbox tier is a floor: options and plan can ask for a stronger one only.
        """
        await self._pool.ensure(watcher)
        new = NewRun(
            id=planned.run_id or new_run_id(self._clock),
            command=planned.command,
            planner=planned.planner,
            plan=planned.plan,
            inputs=planned.inputs,
            options=self._checked(options, planned.plan),
        )
        budget, use_cache = new.options.budget, new.options.use_cache
        account = await self._carriage.account(new.id, budget, watcher.notice, use_cache)
        return await self._carriage.carry(new, watcher, account)

    async def plan_and_run(
        self, command: str, inputs: Sequence[Path], options: RunOptions, watcher: Watcher
    ) -> RunRecord:
        """As `plan` and `run`, but what is planned runs while the model still writes the rest."""
        files = await asyncio.to_thread(take_inputs, inputs, self._blobs)
        return await self.run_streamed(checked_command(command), files, new_run_id(self._clock), options, watcher)

    async def run_streamed(
        self, command: str, files: tuple[InputFile, ...], run_id: str, options: RunOptions, watcher: Watcher
    ) -> RunRecord:
        """As `plan_and_run`, for input files that are taken in already and a run whose id is known."""
        account = await self._carriage.account(run_id, self._wishes.budget, watcher.notice)
        stream = PlanStream(self._planners, self._settings.default_limits)

        def tell_estimate(plan: Plan) -> None:
            whole = PlannedRun(command=command, planner=self._planners.writer or BUILTIN, plan=plan, inputs=files)
            estimate = estimate_of(whole, self._settings, self._wishes)
            if estimate is not None:
                watcher.estimated(estimate)

        async with cancelled_at_the_end(stream.plan(command, files, account)):
            await self._pool.ensure(watcher)
            first = await within(options.timeout_seconds, stream.first())
            if isinstance(first, Planned):
                return await self._run_whole(first, command, files, run_id, options, watcher)
            plan = Plan(goal=command, subtasks=(first,))
            new = NewRun(
                id=run_id,
                command=command,
                planner=self._planners.writer or BUILTIN,
                plan=plan,
                inputs=files,
                options=self._checked(options_of_run(options, self._wishes, by_model=True), plan),
                planning=True,
            )
            await self._carriage.carry(new, watcher, account, lambda loop: stream.feed(loop, tell_estimate))
        return await self._store.runs.get(run_id)  # where it ended first, planning is settled only now

    async def _run_whole(
        self,
        planned: Planned,
        command: str,
        files: tuple[InputFile, ...],
        run_id: str,
        options: RunOptions,
        watcher: Watcher,
    ) -> RunRecord:
        by_model = written_by_model(planned.planner)
        run = PlannedRun(command=command, planner=planned.planner, plan=planned.plan, inputs=files, run_id=run_id)
        return await self.run(run, options_of_run(options, self._wishes, by_model=by_model), watcher)

    def _checked(self, options: RunOptions, plan: Plan) -> RunOptions:
        """Raises UserError where no worker offers what is demanded, or no model is there to mend code."""
        if options.max_repairs and self._door is None:
            raise UserError(f"--repair: code is mended by a model, and none is configured; {HOW_TO_CONFIGURE}")
        policy = self._settings.min_sandbox
        require_workers(plan, policy=policy, run=options.min_sandbox, grid=self._engine)
        return msgspec.structs.replace(options, min_sandbox=strongest(policy, options.min_sandbox))

    async def derive(self, parent: RunRecord, asked: DerivationAsked, run_id: str = "") -> DerivedRun:
        """A run that keeps what another one did; nothing runs. Raises UserError where that cannot be."""
        return await derive_run(
            parent,
            asked,
            plan_events=await self._store.runs.plan_events(parent.id),
            blobs=self._blobs,
            wishes=self._wishes,
            has_model=self._door is not None,
            run_id=run_id or new_run_id(self._clock),
        )

    async def run_derived(self, derived: DerivedRun, watcher: Watcher) -> RunRecord:
        """As `run`, for a run that keeps what another one did."""
        await self._pool.ensure(watcher)
        options = self._checked(derived.new.options, derived.new.plan)
        new = msgspec.structs.replace(derived.new, options=options)
        return await self._carriage.carry_derived(msgspec.structs.replace(derived, new=new), watcher)

    async def take_over(self, record: RunRecord, watcher: Watcher) -> RunRecord:
        """Go on with a run whose master is gone. Raises UserError where another one has it, or it lacks files."""
        await self._pool.ensure(watcher)
        return await self._carriage.take_over(record, watcher)

    async def go_on(self, record: RunRecord, lease: Lease, watcher: CarriedWatcher, notice: Notice) -> RunRecord:
        """Carry a run to its end that was claimed from a master that is gone. Raises LeaseLost."""
        return await self._carriage.go_on(record, lease, watcher, notice)

    async def request_cancel(self, run_id: str, reason: str) -> None:
        """End a run of this grid or of another process that shares the store. Raises NotFound."""
        if not self._carrier.cancel(run_id, reason):
            await self._store.runs.request_cancel(run_id, reason)

    async def export(self, run_id: str, folder: Path) -> Path:
        """Write answer.md, artifacts/ and run.json. Raises UserError where the folder cannot be written."""
        record = await self._store.runs.get(run_id)
        await asyncio.to_thread(export_run, record, folder, self._blobs)
        return folder

    def run_document(self, record: RunRecord) -> dict[str, Any]:
        """The content of `run.json`."""
        return run_document(record, self._blobs)

    async def answer_text(self, record: RunRecord) -> str:
        """The answer as Markdown."""
        return await asyncio.to_thread(compose_answer, record, self._blobs)


@asynccontextmanager
async def open_grid(
    settings: Settings,
    wishes: ModelWishes | None = None,
    *,
    workers: int | None = None,
    notice: Notice = say_nothing,
) -> AsyncIterator[Grid]:
    """A grid for the length of a `with`. With `workers`, so many local ones join those that are there.

    `notice` hears of trouble with the database. Raises StoreUnavailable where that cannot be opened.
    """
    home, clock, wishes = Home(settings), SystemClock(), wishes or ModelWishes()
    blobs = BlobFolder(home.blobs)
    collect_garbage_seldom()
    async with AsyncExitStack() as stack:
        opening = open_for_run(home.database, clock, notice, OPENING_SECONDS)
        store = await stack.enter_async_context(opening)
        engine = await stack.enter_async_context(create_engine(settings, blobs, clock))
        pool = WorkerPool(settings, home=home, engine=engine, store=store, own=workers)
        await stack.enter_async_context(pool)
        door = await stack.enter_async_context(open_models(settings, wishes, store, clock))
        planners = create_planners(settings, wishes, blobs, door, await worker_labels(store))
        yield Grid(
            settings,
            wishes,
            store=store,
            blobs=blobs,
            engine=engine,
            pool=pool,
            planners=planners,
            door=door,
            carrier=RunCarrier(
                settings, store=store, engine=engine, blobs=blobs, skills=planners.skills, clock=clock
            ),
            clock=clock,
        )


def create_engine(settings: Settings, blobs: BlobFolder, clock: Clock) -> GridEngine:
    """The grid engine as the settings want it."""
    patience = GridSettings(grace_seconds=settings.grace_seconds, no_worker_seconds=settings.no_worker_seconds)
    return GridEngine(blobs, clock, settings=patience)


def collect_garbage_seldom() -> None:
    """Thousands of attempts under way are many live objects: walking them every 700 new ones costs a fifth."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
