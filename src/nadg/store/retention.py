"""What may be forgotten, and which blobs the rest still speaks of."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from sqlalchemy import Connection, bindparam, delete, exists, select

from nadg.domain.assignment import Files, Items, Merge, Piece, Rows
from nadg.domain.blob import FileRef, Value
from nadg.store import codec
from nadg.store.tables import attempts, model_answers, model_calls, runs, shards, subtasks

_PRUNE_ANSWERS = delete(model_answers).where(model_answers.c.last_used_at < bindparam("b_moment"))
_PRUNE_CALLS = delete(model_calls).where(
    model_calls.c.created_at < bindparam("b_moment"),
    ~exists().where(runs.c.id == model_calls.c.run_id),  # NOT IN would compare each call with each run
)
_INPUTS = select(runs.c.inputs)
_PIECES = select(shards.c.piece)
_RESULTS = select(subtasks.c.result, subtasks.c.artifacts)
_OUTCOMES = select(attempts.c.outcome).where(attempts.c.outcome.is_not(None))


def prune_answers(connection: Connection, unused_since: datetime.datetime) -> int:
    """Forget answers of models that nobody asked for since then; gives how many."""
    return connection.execute(_PRUNE_ANSWERS, {"b_moment": unused_since}).rowcount


def prune_calls(connection: Connection, before: datetime.datetime) -> int:
    """Forget calls of plans that never became runs, or whose runs are gone; gives how many."""
    return connection.execute(_PRUNE_CALLS, {"b_moment": before}).rowcount


def referenced_blobs(connection: Connection) -> set[str]:
    """The SHA-256 of every blob that a stored run speaks of. Reads all of them: minutes for millions of shards."""
    found: set[str] = set()
    for inputs in connection.execute(_INPUTS).scalars():
        found.update(file.blob.sha256 for file in codec.decode_inputs(inputs))
    for piece in connection.execute(_PIECES).scalars():
        found.update(_of_piece(codec.decode_piece(piece)))
    for result, artifacts in connection.execute(_RESULTS):
        if result is not None:
            found.update(_of_value(codec.decode_value(result)))
        if artifacts is not None:
            found.update(_of_files(codec.decode_files(artifacts)))
    for data in connection.execute(_OUTCOMES).scalars():
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
