"""The HTTP doors of a worker: what it is, how it fares, and running one thing while the caller waits."""

from __future__ import annotations

import datetime
import secrets
from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from nadg import __version__
from nadg.domain.assignment import Assignment, Code, Job, SkillCall, Whole
from nadg.domain.limits import Limits
from nadg.domain.outcome import Outcome
from nadg.domain.plan import MAX_CODE_BYTES
from nadg.domain.tier import Tier
from nadg.link.blobfolder import BlobFolder
from nadg.worker.runner import NoSlot, Runner

RETRY_AFTER_SECONDS = 1
routes = APIRouter()


class Execute(BaseModel):
    """A task to run now: Python source, or a skill call as a JSON object or its text."""

    task: str | dict[str, Any]
    task_id: str = Field(default="", max_length=200)
    timeout: float = Field(default=300, gt=0, le=86_400)


class Executed(BaseModel):
    """What came of it."""

    task_id: str
    status: Literal["completed", "failed"]
    output: str
    error: str | None
    return_code: int | None
    executed_at: datetime.datetime


class _SkillTask(msgspec.Struct, forbid_unknown_fields=True):
    skill: str
    args: dict[str, Any] = {}


class WorkerParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes answer from."""

    runner: Runner
    blobs: BlobFolder
    skills: tuple[str, ...]
    broken_skills: dict[str, str]
    sandbox_report: Any


def _parts(request: Request) -> WorkerParts:
    parts: WorkerParts = request.app.state.parts
    return parts


Parts = Annotated[WorkerParts, Depends(_parts)]


@routes.get("/")
async def what_this_is(parts: Parts) -> dict[str, Any]:
    """A person who opens the URL learns what stands there."""
    return {
        "what": "an NADG worker: it runs parts of plans in a sandbox",
        "name": parts.runner.info.name,
        "version": __version__,
        "doors": ["GET /health", "GET /status", "POST /execute", "POST /execute-python", "WebSocket /link"],
    }


@routes.get("/health")
async def health(parts: Parts) -> dict[str, Any]:
    """Whether it answers; cheap."""
    return {"status": "healthy", "name": parts.runner.info.name}


@routes.get("/status")
async def status(parts: Parts) -> dict[str, Any]:
    """How it fares, without naming any attempt."""
    runner, info = parts.runner, parts.runner.info
    return {
        "name": info.name,
        "slots": info.slots,
        "running": runner.slots.taken,
        "waiting": runner.waiting,
        "draining": runner.draining,
        "sandbox": {"tier": info.tier, "probe": msgspec.to_builtins(parts.sandbox_report, enc_hook=str)},
        "limit_caps": asdict(runner.caps),
        "labels": list(info.labels),
        "skills": list(parts.skills),
        "broken_skills": parts.broken_skills,
        "totals": msgspec.to_builtins(runner.totals),
        "cache_bytes": parts.blobs.size_bytes,
        "version": info.nadg_version,
        "python": info.python_version,
    }


@routes.post("/execute-python", response_model=Executed)
async def execute_python(body: Execute, parts: Parts) -> Response:
    """Run Python source in the sandbox."""
    if not isinstance(body.task, str):
        return _sentence(422, "task: give Python source as text; skill calls go to /execute")
    return await _execute(body, Code(code=body.task), parts)


@routes.post("/execute", response_model=Executed)
async def execute(body: Execute, parts: Parts) -> Response:
    """Run Python source or a skill call in the sandbox."""
    try:
        job = _job_of(body.task)
    except msgspec.ValidationError as error:
        return _sentence(422, f'task: a skill call looks like {{"skill": "...", "args": {{...}}}} ({error})')
    if isinstance(job, SkillCall) and job.skill not in parts.skills:
        return _sentence(422, f"task: there is no skill {job.skill!r} here; GET /status lists the skills")
    return await _execute(body, job, parts)


def _job_of(task: str | dict[str, Any]) -> Job:
    """Python, unless it is a JSON object that names a skill. Raises ValidationError on an unfit object."""
    document: object = task
    if isinstance(task, str):
        try:
            document = msgspec.json.decode(task)
        except (msgspec.DecodeError, RecursionError):
            return Code(code=task)
    if isinstance(task, str) and not (isinstance(document, dict) and "skill" in document):
        return Code(code=task)
    call = msgspec.convert(document, _SkillTask)
    return SkillCall(skill=call.skill, args=call.args)


async def _execute(body: Execute, job: Job, parts: Parts) -> Response:
    if isinstance(job, Code) and not 0 < len(job.code.encode(errors="replace")) <= MAX_CODE_BYTES:
        return _sentence(422, f"task: give between 1 and {MAX_CODE_BYTES} bytes of Python source")
    task_id = body.task_id or secrets.token_hex(8)
    assignment = Assignment(
        attempt_id=f"http/{task_id}/0/{secrets.token_hex(4)}",
        job=job,
        piece=Whole(),
        limits=Limits(wall_seconds=body.timeout, cpu_seconds=body.timeout),
        min_tier=Tier.NONE,
    )
    written: list[str] = []
    try:
        outcome = await parts.runner.run_now(assignment, lambda stream, text: _keep(written, stream, text))
    except NoSlot as error:
        return _sentence(429, f"{error}; try again", {"Retry-After": str(RETRY_AFTER_SECONDS)})
    executed = _executed(task_id, outcome, "".join(written), _result_json(outcome, parts.blobs))
    timed_out = outcome.kind == "limit" and _seconds(outcome) >= body.timeout
    return JSONResponse(executed.model_dump(mode="json"), status_code=408 if timed_out else 200)


def _keep(written: list[str], stream: str, text: str) -> None:
    if stream == "stdout":
        written.append(text)


def _result_json(outcome: Outcome, blobs: BlobFolder) -> bytes:
    """The encoded result; empty where the code set none."""
    if outcome.result is None or outcome.result.inline == b"null":
        return b""
    if outcome.result.blob is not None:
        return blobs.read(outcome.result.blob.sha256)
    return outcome.result.inline or b""


def _executed(task_id: str, outcome: Outcome, stdout: str, result: bytes) -> Executed:
    """`output` is what was printed; a result, where one was set, is its last line, as JSON."""
    output = stdout or outcome.stdout_tail
    if result:
        output += ("" if not output or output.endswith("\n") else "\n") + result.decode()
    error = None if outcome.kind == "succeeded" else f"{outcome.reason}\n{outcome.detail}".strip()
    return Executed(
        task_id=task_id,
        status="completed" if outcome.kind == "succeeded" else "failed",
        output=output,
        error=error,
        return_code=outcome.receipt.exit_code,
        executed_at=outcome.receipt.finished_at,
    )


def _seconds(outcome: Outcome) -> float:
    return (outcome.receipt.finished_at - outcome.receipt.started_at).total_seconds()


def _sentence(status_code: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": sentence}, status_code=status_code, headers=headers)
