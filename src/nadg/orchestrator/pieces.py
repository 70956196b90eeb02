"""The pieces of a subtask: what each of its shards works on."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nadg.domain.assignment import Files, Items, Piece, Rows, Whole
from nadg.domain.blob import Blobs, FileRef
from nadg.domain.checks.bindings import matching_inputs
from nadg.domain.errors import UserError
from nadg.domain.plan import Foreach
from nadg.domain.rows import TableShape, table_shape
from nadg.domain.shards import MIN_AUTO_ROWS, automatic_shard_size
from nadg.orchestrator.progress import RunProgress, SubtaskProgress
from nadg.orchestrator.values import encode_items, read_value


def prepare_pieces(
    run: RunProgress, subtask: SubtaskProgress, inputs: Sequence[FileRef], blobs: Blobs
) -> tuple[Piece, ...]:
    """Cut the work of a subtask whose needs have succeeded. Raises UserError where it cannot be cut."""
    foreach = subtask.spec.foreach
    if foreach is None:
        return (Whole(),)
    if foreach.items is not None:
        return _item_pieces([msgspec.Raw(msgspec.json.encode(item)) for item in foreach.items], foreach, blobs)
    if foreach.results_of is not None:
        return _item_pieces(_results_of(run, foreach.results_of, blobs), foreach, blobs)
    if foreach.files is not None:
        return _file_pieces(foreach.files, inputs, foreach)
    assert foreach.rows_of is not None
    pieces = _row_pieces(find_file(run, foreach.rows_of, inputs), foreach, blobs)
    if not pieces and subtask.merges:
        raise UserError(f"{foreach.rows_of} has a header but no rows; give a table with at least one row")
    return pieces


def find_file(run: RunProgress, name: str, inputs: Sequence[FileRef]) -> FileRef:
    """An input of the run, or `SUBTASK/ARTIFACT`. Raises UserError where the artifact was not made."""
    for ref in inputs:
        if ref.name == name:
            return ref
    subtask_id, _, artifact = name.partition("/")
    made = run.subtasks[subtask_id].artifacts if subtask_id in run.subtasks else ()
    for ref in made:
        if ref.name == artifact:
            return FileRef(name=name, blob=ref.blob)
    listed = ", ".join(ref.name for ref in made[:10]) or "no files"
    raise UserError(f"{name} was not made: {subtask_id} gave {listed}")


def _results_of(run: RunProgress, subtask_id: str, blobs: Blobs) -> list[msgspec.Raw]:
    value = run.subtasks[subtask_id].result
    data = read_value(value, blobs) if value is not None else b"null"
    try:
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.ValidationError as error:
        raise UserError(
            f"the result of {subtask_id} is not a list, so nothing can be repeated over it; "
            "set `result` to a list there"
        ) from error


def _item_pieces(items: Sequence[msgspec.Raw], foreach: Foreach, blobs: Blobs) -> tuple[Piece, ...]:
    size = automatic_shard_size(len(items)) if foreach.shard_size == "auto" else foreach.shard_size
    return tuple(
        Items(first=first, count=len(batch), values=encode_items(batch, blobs))
        for first in range(0, len(items), size)
        for batch in [items[first : first + size]]
    )


def _file_pieces(pattern: str, inputs: Sequence[FileRef], foreach: Foreach) -> tuple[Piece, ...]:
    names = set(matching_inputs(pattern, [ref.name for ref in inputs]))
    files = tuple(ref for ref in inputs if ref.name in names)
    if not files:
        raise UserError(f"no input matches {pattern}; the inputs are {', '.join(ref.name for ref in inputs)}")
    size = automatic_shard_size(len(files)) if foreach.shard_size == "auto" else foreach.shard_size
    return tuple(Files(first=at, files=files[at : at + size]) for at in range(0, len(files), size))


def _row_pieces(file: FileRef, foreach: Foreach, blobs: Blobs) -> tuple[Piece, ...]:
    if foreach.shard_size == "auto":
        rows = _shape(file, blobs, max(1, file.blob.size)).rows
        size = automatic_shard_size(rows, MIN_AUTO_ROWS)
    else:
        size = foreach.shard_size
    shape = _shape(file, blobs, size)
    return tuple(
        Rows(
            file=file,
            first=batch.first,
            count=batch.count,
            start=batch.start,
            stop=batch.stop,
            header_stop=shape.header_stop,
        )
        for batch in shape.batches
    )


def _shape(file: FileRef, blobs: Blobs, shard_rows: int) -> TableShape:
    with blobs.path(file.blob.sha256).open("rb") as lines:
        return table_shape(file.name, lines, shard_rows)
