"""JSON bodies, read strictly: what does not fit is told in one sentence that names its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from nadg.domain.checks.plain import MAX_DEPTH
from nadg.domain.errors import UserError, no_run
from nadg.domain.ids import RUN_ID, RUN_ID_START
from nadg.domain.master_api import MOST_WAIT_SECONDS, Submission, SubmittedFile

Body = TypeVar("Body")
LONGEST_NAME = 1_000
MOST_RUNS = 10_000
"""In one list."""


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The body as this kind; an absent one counts as an empty object. Raises UserError."""
    try:
        data = await request.body() or b"{}"
    except ClientDisconnect:
        raise UserError("the body ended early; send it whole") from None
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise UserError(f"body: {_sentence(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"body: is not JSON ({error})") from None
    except RecursionError:
        raise UserError(f"body: is nested deeper than {MAX_DEPTH} levels; flatten it") from None


def json_response(value: object, status: int = 200) -> Response:
    """A struct or plain data as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def checked_run(start: str) -> str:
    """The beginning of a run's id. Raises NotFound where no id begins so."""
    if not RUN_ID_START.fullmatch(start):
        raise no_run(repr(start[:40]))
    return start


def checked_submission(asked: Submission) -> Submission:
    """Raises UserError, naming the first field that does not fit. The plan itself is checked by the planner."""
    if asked.id and not RUN_ID.fullmatch(asked.id):
        raise UserError(f"id: {asked.id[:40]!r} is no id of a run; leave it out, and one is made")
    if asked.parent or asked.from_subtask:
        _check_derivation(asked)
    elif (asked.command is None) == (asked.plan is None):
        raise UserError("give either a command in words or a plan, and not both")
    if asked.command is not None and not asked.command.strip():
        raise UserError('command: is empty; say what to do, such as "Summarise the reviews"')
    seconds = asked.options.timeout_seconds
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise UserError("options.timeout_seconds: give a number of seconds above 0, or leave it out")
    _check_amounts(asked)
    _check_files(asked.inputs)
    return asked


def _check_derivation(asked: Submission) -> None:
    if not asked.parent:
        raise UserError("from_subtask: says where a fork begins; name the run that is forked: parent")
    checked_run(asked.parent)
    if asked.command is not None or asked.inputs:
        name = "inputs" if asked.command is None else "command"
        raise UserError(f"{name}: a run that resumes or forks another has those of that run; leave it out")
    if asked.plan is not None and not asked.from_subtask:
        raise UserError("plan: a resumed run keeps its plan; to change it, fork the run: from_subtask")


def _check_amounts(asked: Submission) -> None:
    budget = asked.wishes.budget
    amounts = {
        "options.max_retries": asked.options.max_retries,
        "wishes.budget.usd": budget.usd,
        "wishes.budget.tokens": budget.tokens,
        "wishes.repairs": asked.wishes.repairs,
    }
    for name, amount in amounts.items():
        if amount is not None and not (math.isfinite(amount) and amount >= 0):
            raise UserError(f"{name}: give a number of at least 0, or leave it out")


def _check_files(files: Sequence[SubmittedFile]) -> None:
    seen: set[str] = set()
    for place, file in enumerate(files):
        flaw = _flaw_of_name(file.name) or ("stands twice; rename one of them" if file.name in seen else "")
        if flaw:
            raise UserError(f"inputs[{place}].name: {file.name[:80]!r} {flaw}")
        seen.add(file.name)


def _flaw_of_name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        return "is no name of a file; give one without a folder"
    return "is too long" if len(name) > LONGEST_NAME else ""


def wait_of(text: str | None) -> float:
    """How many seconds to wait for events, at most `MOST_WAIT_SECONDS`. Raises UserError."""
    try:
        seconds = float(text or 0)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise UserError(f"wait: {str(text)[:40]!r} is no number of seconds")
    return min(seconds, MOST_WAIT_SECONDS)


def count_of(text: str | None, name: str, default: int, most: int) -> int:
    """A count out of a query. Raises UserError."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= most):
        raise UserError(f"{name}: {text[:40]!r} is no count from 0 to {most}")
    return int(text)


def _sentence(error: msgspec.ValidationError) -> str:
    """msgspec's own words, with the place where we put ours."""
    message, _, place = str(error).partition(" - at ")
    where = place.strip("`").removeprefix("$").removeprefix(".")
    return f"{where}: {message}" if where else message
