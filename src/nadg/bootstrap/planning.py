"""From what the user gave to a validated plan and its input files."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from nadg.bootstrap.asked import ModelWishes, has_models, models_for
from nadg.bootstrap.database import open_to_change
from nadg.bootstrap.home import Home
from nadg.bootstrap.models import Notice, model_settings, open_account, open_models, say_nothing
from nadg.bootstrap.planners import Planners
from nadg.domain.blob import BlobRef
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import UserError
from nadg.domain.file_names import name_of_bytes
from nadg.domain.ids import create_run_id
from nadg.domain.inputs import InputFile
from nadg.domain.model_calls import CallRecord
from nadg.domain.named_limits import NamedLimits, document_with_limits, plan_with_limits
from nadg.domain.plan import Plan
from nadg.domain.validate import parse_plan
from nadg.link.blobfolder import BlobFolder
from nadg.models.call import Account, Door
from nadg.models.configuration import flaw_of_asking
from nadg.models.memory import Ledger
from nadg.planning.file import load_plan
from nadg.planning.inspect import inspect_input
from nadg.settings import Settings
from nadg.skills.registry import load_registry
from nadg.store.api import Store

FILE = "file"
UNKNOWN_BLOB = BlobRef(sha256="0" * 64, size=0)
"""Stands in until a file is judged fit: only then is its content kept."""


class PlannedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that may run, with what it was made from."""

    command: str
    planner: str
    plan: Plan
    inputs: tuple[InputFile, ...]
    run_id: str = ""
    """The run that it is for, where planning spent something on it already."""


class GivenPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that a person wrote, not yet checked, and what it is called."""

    document: object
    name: str


def read_plan(file: Path) -> GivenPlan:
    """Raises UserError where that is no plan file."""
    return GivenPlan(document=load_plan(file), name=file.name)


async def plan_run(
    command: str | None,
    given: GivenPlan | None,
    files: tuple[InputFile, ...],
    *,
    planners: Planners,
    account: Account | None,
    default_limits: NamedLimits = (),
) -> PlannedRun:
    """Plan a command, or check the plan that is given.

    Raises UserError, naming everything that is wrong, or a ModelError.

    `account` is None only where no model is asked.

    `default_limits` stand in for those that a plan leaves out. They are for plans that run: one that is only
    shown or saved keeps to what it says itself.
    """
    if given is not None:
        document = document_with_limits(given.document, default_limits)
        plan = parse_plan(document, skills=planners.skills, inputs=files, models=planners.has_model)
        planners.check_prompts(plan, files)
        command = command or plan.goal or given.name
        return PlannedRun(command=command, planner=FILE, plan=plan, inputs=files)
    command = checked_command(command)
    planned = await planners.plan(command, files, account)
    plan = plan_with_limits(planned.plan, default_limits)
    return PlannedRun(
        command=command, planner=planned.planner, plan=plan, inputs=files, run_id=account.run_id if account else ""
    )


def checked_command(command: str | None) -> str:
    """Raises UserError where it says nothing."""
    if command is None or not command.strip():
        raise UserError('the command is empty; say what to do, such as "Summarise the reviews"')
    return command


def take_inputs(paths: Sequence[Path], blobs: BlobFolder) -> tuple[InputFile, ...]:
    """Judge each file and keep its content. Raises UserError for the first that cannot be used."""
    seen: dict[str, Path] = {}
    files: list[InputFile] = []
    for path in paths:
        name = name_of_bytes(os.fsencode(path.name))
        if name in seen:
            raise UserError(f"--input: {seen[name]} and {path} are both called {name}; rename one of them")
        seen[name] = path
        found = inspect_input(path, name, UNKNOWN_BLOB)
        files.append(msgspec.structs.replace(found, blob=blobs.adopt(path)))
    return tuple(files)


class PlanDesk:
    """Plans without a grid: nothing can run."""

    def __init__(
        self, planners: Planners, blobs: BlobFolder, account: Account | None, ledger: Ledger | None = None
    ) -> None:
        """`ledger` is where the account's calls are recorded."""
        self._planners, self._blobs, self._account, self._ledger = planners, blobs, account, ledger

    async def calls(self) -> Sequence[CallRecord]:
        """What planning asked of models."""
        if self._ledger is None or self._account is None:
            return ()
        return await self._ledger.calls(self._account.run_id)

    async def plan(self, command: str | None, plan_file: Path | None, inputs: Sequence[Path]) -> PlannedRun:
        """See `plan_run`."""
        files = await asyncio.to_thread(take_inputs, inputs, self._blobs)
        given = None if plan_file is None else await asyncio.to_thread(read_plan, plan_file)
        return await plan_run(command, given, files, planners=self._planners, account=self._account)


@asynccontextmanager
async def open_planner(
    settings: Settings, wishes: ModelWishes | None = None, notice: Notice = say_nothing
) -> AsyncIterator[PlanDesk]:
    """Planning only: no workers. What a model answers is kept, and what it costs is recorded, as for a run;
    without a model nothing is opened."""
    wishes, home, clock = wishes or ModelWishes(), Home(settings), SystemClock()
    blobs = BlobFolder(home.blobs)
    if not has_models(settings, wishes):
        yield PlanDesk(create_planners(settings, wishes, blobs, None), blobs, None)
        return
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_to_change(home.database, clock))
        door = await stack.enter_async_context(open_models(settings, wishes, store, clock))
        planners = create_planners(settings, wishes, blobs, door, await worker_labels(store))
        account = await open_account(new_run_id(clock), wishes.budget, wishes.use_cache, store, clock, notice)
        yield PlanDesk(planners, blobs, account, store.model_calls)


async def worker_labels(store: Store) -> list[str]:
    """The labels of the registered workers."""
    return sorted({label for node in await store.workers.list() for label in node.labels})


def create_planners(
    settings: Settings, wishes: ModelWishes, blobs: BlobFolder, door: Door | None, labels: Sequence[str] = ()
) -> Planners:
    """The planners that settings and wishes name."""
    named = model_settings(settings, wishes)
    return Planners(
        load_registry().specs,
        blobs,
        door,
        choice=wishes.planner or settings.planner,
        model=next(iter(models_for("plan", settings, wishes)), ""),
        labels=labels,
        small=settings.model_style == "small",
        flaw_of_model=lambda model: flaw_of_asking(named, model),
    )


def new_run_id(clock: Clock) -> str:
    """An id for a run that begins now."""
    return create_run_id(int(clock.now().timestamp() * 1000), secrets.randbits(35))
