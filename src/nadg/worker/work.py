"""From an assignment to what the sandbox runs, and from its ending to the outcome."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from nadg.domain.assignment import Assignment, Code, Files, Items, Merge, Part, Rows, SkillCall
from nadg.domain.blob import Blobs, FileRef, Value
from nadg.domain.file_names import bytes_of_name
from nadg.domain.limits import Limits
from nadg.domain.outcome import Outcome, OutcomeKind, Receipt
from nadg.domain.skill import SkillSpec
from nadg.domain.worker import WorkerInfo
from nadg.sandbox import Ending, PartGiven, Request, RowsGiven

_SKILL_SOURCE = """\
from nadg.skills.call import run_skill
result = run_skill({name!r}, {args!r}, inputs=inputs, needs=needs, needs_files=needs_files, missing=missing,
                   rows=globals().get("rows"), item=globals().get("item"), parts=globals().get("parts"))
"""
_USUAL = Limits()


def lack(assignment: Assignment, worker: WorkerInfo, skills: Mapping[str, SkillSpec]) -> str:
    """Why this worker can never run it; empty where it can."""
    missing = [label for label in assignment.labels if label not in worker.labels]
    if missing:
        return f"{worker.name} lacks the label {', '.join(missing)}"
    if not worker.tier.satisfies(assignment.min_tier):
        return f"{worker.name} isolates with tier {worker.tier}, {assignment.min_tier} is wanted"
    if isinstance(assignment.job, SkillCall) and assignment.job.skill not in skills:
        return f"{worker.name} does not have the skill {assignment.job.skill}"
    return ""


def source_of(assignment: Assignment) -> str:
    """The Python source that carries the job out."""
    match assignment.job:
        case Code(code=code):
            return code
        case SkillCall(skill=name, args=args):
            return _SKILL_SOURCE.format(name=name, args=args)


def create_request(assignment: Assignment, blobs: Blobs) -> Request:
    """What the sandbox is to run. Every blob must be here. Raises NotFound where one is not."""
    return Request(
        attempt_id=assignment.attempt_id,
        source=source_of(assignment),
        zygote="data" if isinstance(assignment.job, SkillCall) else "auto",
        inputs=_paths(assignment.inputs, blobs),
        needs={name: _json(value, blobs) for name, value in assignment.needs.items()},
        needs_files={name: _own_paths(files, blobs) for name, files in assignment.needs_files.items()},
        missing=assignment.missing,
        limits=assignment.limits,
        **_piece_fields(assignment, blobs),
    )


def create_outcome(
    assignment: Assignment, ending: Ending, worker: WorkerInfo, skill: SkillSpec | None, caps: Limits
) -> Outcome:
    """The ending as the master hears of it, with the receipt."""
    receipt = Receipt(
        worker=worker.name,
        sandbox_tier=worker.tier,
        code_sha256=hashlib.sha256(source_of(assignment).encode(errors="backslashreplace")).hexdigest(),
        input_sha256s=input_hashes(assignment),
        started_at=ending.started_at,
        finished_at=ending.finished_at,
        exit_code=ending.exit_code,
        cpu_seconds=ending.cpu_seconds,
        max_rss_bytes=ending.max_rss_bytes,
        skill_version=skill.version if skill else None,
        environment=worker.environment,
    )
    return Outcome(
        kind=ending.kind,
        receipt=receipt,
        reason=ending.reason,
        detail=ending.detail,
        result=ending.result,
        per_item=ending.per_item,
        artifacts=ending.artifacts,
        stdout_tail=ending.stdout_tail,
        stderr_tail=ending.stderr_tail,
        notes=(*ending.notes, *cap_notes(assignment.limits, caps, ending.kind)),
    )


def cap_notes(asked: Limits, caps: Limits, kind: OutcomeKind) -> tuple[str, ...]:
    """What the worker's policy cut from the limits that a plan asked for.

    The usual ones, which nobody asks for, are told of only where a limit ended the attempt.
    """
    wanted, allowed = vars(asked), vars(caps)
    return tuple(
        f"{name}: {_plain(wanted[name])} asked, {_plain(allowed[name])} allowed by this worker"
        for name, usual in vars(_USUAL).items()
        if wanted[name] > allowed[name] and (kind == "limit" or wanted[name] != usual)
    )


def _plain(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def never_ran(assignment: Assignment, kind: OutcomeKind, reason: str, worker: WorkerInfo, at: datetime) -> Outcome:
    """The outcome of an attempt whose code did not run to an end of its own."""
    receipt = Receipt(
        worker=worker.name,
        sandbox_tier=worker.tier,
        code_sha256=hashlib.sha256(source_of(assignment).encode(errors="backslashreplace")).hexdigest(),
        input_sha256s=input_hashes(assignment),
        started_at=at,
        finished_at=at,
    )
    return Outcome(kind=kind, receipt=receipt, reason=reason)


def result_blobs(outcome: Outcome) -> list[str]:
    """The blobs that an outcome refers to."""
    found = [file.blob.sha256 for file in outcome.artifacts]
    if outcome.result is not None and outcome.result.blob is not None:
        found.append(outcome.result.blob.sha256)
    return found


def input_hashes(assignment: Assignment) -> dict[str, str]:
    """Everything that goes in, by name: inputs, results as `ID`, artifacts as `ID/NAME`, the piece's own."""
    found = {file.name: file.blob.sha256 for file in assignment.inputs}
    found.update((name, value.sha256) for name, value in assignment.needs.items())
    for name, files in assignment.needs_files.items():
        found.update((f"{name}/{file.name}", file.blob.sha256) for file in files)
    match assignment.piece:
        case Items(values=value):
            found["items"] = value.sha256
        case Files(files=files):
            found.update((file.name, file.blob.sha256) for file in files)
        case Rows(file=file):
            found[file.name] = file.blob.sha256
        case Merge(parts=parts):
            found.update((f"parts/{index}", part.result.sha256) for index, part in enumerate(parts))
        case _:
            pass
    return found


def _piece_fields(assignment: Assignment, blobs: Blobs) -> dict[str, Any]:
    """The fields of a request that depend on the piece."""
    match assignment.piece:
        case Items(first=first, values=values):
            return {"mode": "items", "first": first, "items": _json(values, blobs)}
        case Files(first=first, files=files):
            placed = tuple((file.name, blobs.path(file.blob.sha256)) for file in files)
            return {"mode": "items", "first": first, "item_files": placed}
        case Rows(first=first) as rows:
            return {"mode": "rows", "first": first, "rows": _rows(rows, blobs)}
        case Merge(parts=parts):
            return {"parts": tuple(_part(part, blobs) for part in parts)}
        case _:
            return {}


def _rows(rows: Rows, blobs: Blobs) -> RowsGiven:
    path = blobs.path(rows.file.blob.sha256)
    return RowsGiven(
        name=rows.file.name, path=path, header_stop=rows.header_stop, start=rows.start, stop=rows.stop
    )


def _part(part: Part, blobs: Blobs) -> PartGiven:
    return PartGiven(result=_json(part.result, blobs), files=_own_paths(part.files, blobs))


def _paths(files: tuple[FileRef, ...], blobs: Blobs) -> dict[str, Path]:
    return {file.name: blobs.path(file.blob.sha256) for file in files}


def _own_paths(files: tuple[FileRef, ...], blobs: Blobs) -> dict[str, Path]:
    """Files of a folder that code looks into: there each is called, byte for byte, as it was when it was made."""
    return {os.fsdecode(bytes_of_name(file.name)): blobs.path(file.blob.sha256) for file in files}


def _json(value: Value, blobs: Blobs) -> bytes | Path:
    """The encoded value: its bytes, or the file that holds them."""
    if value.blob is not None:
        return blobs.path(value.blob.sha256)
    return value.inline or b"null"
