"""From what the user gave to a validated plan and its input files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from nadg.bootstrap.home import Home
from nadg.domain.blob import BlobRef
from nadg.domain.errors import UserError
from nadg.domain.file_names import name_of_bytes
from nadg.domain.inputs import InputFile
from nadg.domain.named_limits import NamedLimits, document_with_limits, plan_with_limits
from nadg.domain.plan import Plan
from nadg.domain.skill import SkillSpec
from nadg.domain.validate import parse_plan
from nadg.link.blobfolder import BlobFolder
from nadg.planning.builtin import BuiltinPlanner
from nadg.planning.file import load_plan
from nadg.planning.inspect import inspect_input
from nadg.settings import Settings
from nadg.skills.registry import load_registry

UNKNOWN_BLOB = BlobRef(sha256="0" * 64, size=0)
"""Stands in until a file is judged fit: only then is its content kept."""


class PlannedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that may run, with what it was made from."""

    command: str
    planner: str
    plan: Plan
    inputs: tuple[InputFile, ...]


async def plan_run(
    command: str | None,
    plan_file: Path | None,
    inputs: Sequence[Path],
    skills: Mapping[str, SkillSpec],
    blobs: BlobFolder,
    default_limits: NamedLimits = (),
) -> PlannedRun:
    """Plan a command, or read a plan file. Raises UserError, naming everything that is wrong.

    `default_limits` stand in for those that a plan leaves out. They are for plans that run: one that is only
    shown or saved keeps to what it says itself.
    """
    files = await asyncio.to_thread(take_inputs, inputs, blobs)
    if plan_file is not None:
        document = document_with_limits(load_plan(plan_file), default_limits)
        plan = parse_plan(document, skills=skills, inputs=files)
        return PlannedRun(command=command or plan.goal or plan_file.name, planner="file", plan=plan, inputs=files)
    if command is None or not command.strip():
        raise UserError('the command is empty; say what to do, such as "Summarise the reviews"')
    plan = plan_with_limits(await BuiltinPlanner().plan(command, files, skills), default_limits)
    return PlannedRun(command=command, planner="builtin", plan=plan, inputs=files)


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
    """Plans without a grid."""

    def __init__(self, skills: Mapping[str, SkillSpec], blobs: BlobFolder) -> None:
        self._skills, self._blobs = skills, blobs

    async def plan(self, command: str | None, plan_file: Path | None, inputs: Sequence[Path]) -> PlannedRun:
        """See `plan_run`."""
        return await plan_run(command, plan_file, inputs, self._skills, self._blobs)


@asynccontextmanager
async def open_planner(settings: Settings) -> AsyncIterator[PlanDesk]:
    """Planning only: no store, no workers."""
    yield PlanDesk(load_registry().specs, BlobFolder(Home(settings).blobs))
