"""Keep an assignment small enough for a frame: inline values that add up to much become blobs."""

from __future__ import annotations

import msgspec

from nadg.domain.assignment import Assignment, Items, Merge, Part
from nadg.domain.blob import Blobs, Value

MUCH_BYTES = 1 << 20
WORTH_BYTES = 1 << 10
"""A smaller value stays inline in any case."""


def slim_assignment(assignment: Assignment, blobs: Blobs) -> Assignment:
    """The same assignment; where its inline values exceed 1 MiB together, they stand in `blobs`."""
    if _inline_bytes(assignment) <= MUCH_BYTES:
        return assignment
    piece = assignment.piece
    match piece:
        case Items():
            piece = msgspec.structs.replace(piece, values=_as_blob(piece.values, blobs))
        case Merge(parts=parts):
            piece = Merge(parts=tuple(Part(result=_as_blob(one.result, blobs), files=one.files) for one in parts))
        case _:
            pass
    needs = {name: _as_blob(value, blobs) for name, value in assignment.needs.items()}
    return msgspec.structs.replace(assignment, piece=piece, needs=needs)


def _inline_bytes(assignment: Assignment) -> int:
    values = list(assignment.needs.values())
    match assignment.piece:
        case Items(values=value):
            values.append(value)
        case Merge(parts=parts):
            values.extend(part.result for part in parts)
        case _:
            pass
    return sum(len(value.inline) for value in values if value.inline is not None)


def _as_blob(value: Value, blobs: Blobs) -> Value:
    if value.inline is None or len(value.inline) < WORTH_BYTES:
        return value
    writer = blobs.create()
    try:
        writer.write(value.inline)
        return Value(blob=writer.commit())
    finally:
        writer.abort()
