"""From what a client submitted to a run under way: inputs judged, models wished for, the plan made or checked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from nadg.bootstrap.asked import (
    ModelWishes,
    must_wait_for_plan,
    options_of_run,
    wishes_of_derived,
    written_by_model,
)
from nadg.bootstrap.carrying import RunCarrier
from nadg.bootstrap.deriving import DerivationAsked
from nadg.bootstrap.doors import Doors
from nadg.bootstrap.grid import Grid
from nadg.bootstrap.planning import GivenPlan, PlannedRun, checked_command, create_planners, worker_labels
from nadg.bootstrap.review import unconfined_code
from nadg.bootstrap.watching import Watcher
from nadg.bootstrap.workers import WorkerPool
from nadg.domain.blob import BlobRef
from nadg.domain.clock import Clock
from nadg.domain.errors import UserError
from nadg.domain.inputs import InputFile
from nadg.domain.master_api import Submission, SubmittedFile
from nadg.domain.model_names import NO_MODEL, checked_model
from nadg.domain.run import RunRecord
from nadg.domain.tier import strongest
from nadg.engines.grid import GridEngine
from nadg.link.blobfolder import BlobFolder
from nadg.planning.inspect import inspect_input
from nadg.settings import Settings
from nadg.store.api import Store


class MasterRooms(msgspec.Struct, frozen=True, kw_only=True):
    """What a master is made of."""

    settings: Settings
    store: Store
    blobs: BlobFolder
    engine: GridEngine
    pool: WorkerPool
    doors: Doors
    carrier: RunCarrier
    clock: Clock


async def grid_for(wishes: ModelWishes, rooms: MasterRooms) -> Grid:
    """A grid that plans as one run wishes; store, workers and runs are those of the master."""
    door = await rooms.doors.door(wishes)
    labels = await worker_labels(rooms.store)
    return Grid(
        rooms.settings,
        wishes,
        store=rooms.store,
        blobs=rooms.blobs,
        engine=rooms.engine,
        pool=rooms.pool,
        planners=create_planners(rooms.settings, wishes, rooms.blobs, door, labels),
        door=door,
        carrier=rooms.carrier,
        clock=rooms.clock,
        follows=False,
    )


async def start_submitted(asked: Submission, run_id: str, watcher: Watcher, rooms: MasterRooms) -> RunRecord:
    """Plan it and carry it to its end. Raises UserError or a ModelError before anything ran."""
    _check_model(asked.wishes.model)
    if asked.parent:
        return await start_derived(asked, run_id, watcher, rooms)
    files = await asyncio.to_thread(taken_files, asked.inputs, rooms.blobs)
    grid = await grid_for(asked.wishes, rooms)
    tier = strongest(rooms.settings.min_sandbox, asked.options.min_sandbox)
    waits = must_wait_for_plan(review=False, yes=asked.approved, tier=tier)
    if asked.plan is None and grid.asks_model_for_plans and not waits:
        return await grid.run_streamed(checked_command(asked.command), files, run_id, asked.options, watcher)
    given = None if asked.plan is None else GivenPlan(document=asked.plan, name=asked.plan_name or "plan")
    planned = await grid.plan_taken(asked.command, given, files, run_id, watcher.notice)
    if waits:
        _require_confined(planned, unconfined_code(planned, tier))
    by_model = written_by_model(planned.planner)
    options = options_of_run(asked.options, asked.wishes, by_model=by_model)
    return await grid.run(msgspec.structs.replace(planned, run_id=run_id), options, watcher)


async def start_derived(asked: Submission, run_id: str, watcher: Watcher, rooms: MasterRooms) -> RunRecord:
    """As `start_submitted`, for a run that keeps what another one did. Raises NotFound too."""
    runs = rooms.store.runs
    parent = await runs.get(await runs.find(asked.parent))
    grid = await grid_for(wishes_of_derived(parent, asked.wishes), rooms)
    given = None
    if asked.plan is not None:
        document = GivenPlan(document=asked.plan, name=asked.plan_name or "plan")
        given = await grid.plan_taken(parent.command, document, parent.inputs, run_id, watcher.notice)
    derivation = DerivationAsked(
        from_subtask=asked.from_subtask,
        plan=None if given is None else given.plan,
        planner="" if given is None else given.planner,
        options=asked.options,
    )
    return await grid.run_derived(await grid.derive(parent, derivation, run_id), watcher)


def taken_files(files: Sequence[SubmittedFile], blobs: BlobFolder) -> tuple[InputFile, ...]:
    """The inputs, judged. Raises UserError for the first that is not here or cannot be used."""
    return tuple(_taken(place, file, blobs) for place, file in enumerate(files))


def _taken(place: int, file: SubmittedFile, blobs: BlobFolder) -> InputFile:
    if not blobs.has(file.sha256):
        raise UserError(
            f"inputs[{place}].sha256: this master has no such blob; send it: PUT /v1/blobs/{file.sha256[:64]}"
        )
    path = blobs.path(file.sha256)
    size = path.stat().st_size
    if size != file.size:
        raise UserError(f"inputs[{place}].size: says {file.size} bytes, and the blob has {size}")
    return inspect_input(path, file.name, BlobRef(sha256=file.sha256, size=size))


def _check_model(model: str | None) -> None:
    try:
        if model not in (None, NO_MODEL):
            checked_model(model)
    except ValueError as error:
        raise UserError(f"wishes.model: {error}") from None


def _require_confined(planned: PlannedRun, unconfined: Sequence[str]) -> None:
    if unconfined:
        more = f" and {len(unconfined) - 3} more" if len(unconfined) > 3 else ""
        raise UserError(
            f"the code of {', '.join(unconfined[:3])}{more} was written by {planned.planner} and would run "
            "without isolation (sandbox tier none); give --yes (`approved`), or demand a stronger tier"
        )
