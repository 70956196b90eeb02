"""What may be forgotten, and which blobs the rest still speaks of."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, exists, select

from nadg.domain.assignment import Files, Items, Merge, Piece, Rows
from nadg.domain.blob import FileRef, Value
from nadg.store import codec
from nadg.store.tables import attempts, model_answers, model_calls, runs, shards, subtasks

_PRUNE_ANSWERS = delete(model_answers).where(model_answers.c.last_used_at < bindparam("b_moment"))
_PRUNE_CALLS = delete(model_calls).where(
    model_calls.c.created_at < bindparam("b_moment"),
    ~exists().where(runs.c.id == model_calls.c.run_id),  # NOT IN would compare each call with each run
)
_SIZES = select(runs.c.id, runs.c.last_event_seq).order_by(runs.c.id)
_THESE: BindParameter[Any] = bindparam("b_runs", expanding=True)
_INPUTS = select(runs.c.inputs).where(runs.c.id.in_(_THESE))
_PIECES = select(shards.c.piece).where(shards.c.run_id.in_(_THESE))
_RESULTS = select(subtasks.c.result, subtasks.c.artifacts).where(subtasks.c.run_id.in_(_THESE))
_OUTCOMES = select(attempts.c.outcome).where(attempts.c.run_id.in_(_THESE), attempts.c.outcome.is_not(None))

EVENTS_AT_ONCE = 20_000
"""Runs with so many events in all are looked at, or forgotten, in one transaction: a second's work or two."""
RUNS_AT_ONCE = 500
"""Databases bound the number of parameters."""


def prune_answers(connection: Connection, unused_since: datetime.datetime) -> int:
    """Forget answers of models that nobody asked for since then; gives how many."""
    return connection.execute(_PRUNE_ANSWERS, {"b_moment": unused_since}).rowcount


def prune_calls(connection: Connection, before: datetime.datetime) -> int:
    """Forget calls of plans that never became runs, or whose runs are gone; gives how many."""
    return connection.execute(_PRUNE_CALLS, {"b_moment": before}).rowcount


def fitting(sizes: Sequence[tuple[str, int]]) -> list[str]:
    """The first of these runs, by id and number of events, that are little enough for one transaction; one at
    least."""
    total, taken = 0, list[str]()
    for run_id, events in sizes[:RUNS_AT_ONCE]:
        total += events
        if taken and total > EVENTS_AT_ONCE:
            break
        taken.append(run_id)
    return taken


def all_runs(connection: Connection) -> list[list[str]]:
    """The ids of all runs, in portions for one transaction each."""
    sizes = [(row.id, row.last_event_seq) for row in connection.execute(_SIZES)]
    portions, done = list[list[str]](), 0
    while done < len(sizes):
        portions.append(fitting(sizes[done : done + RUNS_AT_ONCE]))
        done += len(portions[-1])
    return portions


def referenced_blobs(connection: Connection, run_ids: Sequence[str]) -> set[str]:
    """The SHA-256 of every blob that these runs speak of. Reads all their rows."""
    these = {"b_runs": run_ids}
    found: set[str] = set()
    for inputs in connection.execute(_INPUTS, these).scalars():
        found.update(file.blob.sha256 for file in codec.decode_inputs(inputs))
    for piece in connection.execute(_PIECES, these).scalars():
        found.update(_of_piece(codec.decode_piece(piece)))
    for result, artifacts in connection.execute(_RESULTS, these):
        if result is not None:
            found.update(_of_value(codec.decode_value(result)))
        if artifacts is not None:
            found.update(_of_files(codec.decode_files(artifacts)))
    for data in connection.execute(_OUTCOMES, these).scalars():
        outcome = codec.decode_outcome(data)
        found.update(_of_files(outcome.artifacts))
        if outcome.result is not None:
            found.update(_of_value(outcome.result))
    return found


def _of_piece(piece: Piece) -> Iterator[str]:
    match piece:
        case Items(values=value):
            yield from _of_value(value)
        case Files(files=files):
            yield from _of_files(files)
        case Rows(file=file):
            yield file.blob.sha256
        case Merge(parts=parts):
            for part in parts:
                yield from _of_value(part.result)
                yield from _of_files(part.files)
        case _:
            return


def _of_value(value: Value) -> Iterator[str]:
    if value.blob is not None:
        yield value.blob.sha256


def _of_files(files: tuple[FileRef, ...]) -> Iterator[str]:
    yield from (file.blob.sha256 for file in files)
