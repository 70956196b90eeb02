"""What a master and its clients say to each other over HTTP, as JSON; both ends read and write it here."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from nadg.domain.changes import Change
from nadg.domain.plan import Plan
from nadg.domain.problems import Problem
from nadg.domain.run import RunOptions, RunRecord
from nadg.domain.wishes import ModelWishes

MAX_BLOB_BYTES = 16 << 30
"""Of a file that a client may send."""
MOST_WAIT_SECONDS = 30.0
"""The longest that a master lets a client wait for events; it asks again."""


NOTHING_HERE = "there is nothing here; see docs/MASTER.md"
"""What a master says of an address that is none of its own."""


class SubmittedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input of a run whose content the master has already."""

    name: str
    """Without a folder; any bytes stand as `nadg.domain.file_names` says."""
    sha256: str
    size: int


class Submission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that a client wants: a command in words or a plan document, and input files."""

    id: str = ""
    """Chosen by the client, so that asking again after a cut gives the same run; empty: the master chooses."""
    command: str | None = None
    plan: dict[str, Any] | None = None
    """A plan document, not yet checked."""
    plan_name: str = ""
    """What the run is called where neither a command nor the plan's goal says it."""
    inputs: tuple[SubmittedFile, ...] = ()
    options: RunOptions = RunOptions()
    wishes: ModelWishes = ModelWishes()
    parent: str = ""
    """Instead of a command and inputs: the run that this one resumes or, with `from_subtask`, forks; its id may be
    cut short. Its options hold, but for those that are given.
    """
    from_subtask: str = ""
    """The subtask from which on a fork does the parent's work again; a `plan` may stand beside it."""
    approved: bool = False
    """Whether code that a model wrote may run without isolation, where the master allows that at all."""


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """The run is stored: it goes on whatever becomes of the client."""

    id: str


class RunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a run's event log."""

    seq: int
    at: datetime.datetime
    term: int
    change: Change


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """The next events of a run in order; none where nothing happened for as long as was to be waited."""

    events: tuple[RunEvent, ...]


class Cancelling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request to end a run."""

    reason: str = "cancelled by the user"


class CancelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    id: str
    """Of the run, whole."""
    asked: bool
    """False: it had ended before."""
    ended: bool = False
    """No master carried it out, so that it is at its end already."""


class DatabaseHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the master's database fares."""

    reachable: bool = True
    reason: str = ""
    """Why not, in one sentence."""
    since: datetime.datetime | None = None
    tries: int = 0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a master fares; `waiting` for its database, which it does for as long as it takes."""

    status: str
    """`starting`, `ok`, `waiting`, or `stopping`."""
    database: DatabaseHealth
    runs: int
    """Those that this master carries out now."""
    workers: dict[str, int]
    """Linked workers, by the state of their link."""
    version: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not carried out: one sentence, and every problem of a plan."""

    detail: str
    problems: tuple[Problem, ...] = ()


def encode_record(record: RunRecord) -> bytes:
    """A whole run as JSON."""
    return msgspec.json.encode(record, enc_hook=_encode_plan)


def decode_record(data: bytes) -> RunRecord:
    """The inverse of `encode_record`. Raises ValueError where it is no such document."""
    return msgspec.json.decode(data, type=RunRecord, dec_hook=_decode_plan)


def _encode_plan(value: object) -> object:
    if isinstance(value, Plan):
        return msgspec.Raw(value.model_dump_json().encode())
    raise NotImplementedError(type(value).__name__)


def _decode_plan(kind: type, value: object) -> object:
    if kind is Plan:
        return Plan.model_validate_json(msgspec.json.encode(value))
    raise NotImplementedError(kind.__name__)
