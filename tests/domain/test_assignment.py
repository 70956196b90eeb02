"""Assignments: every blob that an attempt needs is named, wherever it stands, and frames carry them whole."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from nadg.domain.assignment import Assignment, Code, Files, Items, Merge, Part, Piece, Rows, SkillCall, Whole
from nadg.domain.blob import BlobRef, FileRef, Value
from nadg.domain.limits import Limits


def blob(letter: str, size: int = 7) -> BlobRef:
    return BlobRef(sha256=letter * 64, size=size)


def file(name: str, letter: str) -> FileRef:
    return FileRef(name=name, blob=blob(letter))


PIECES: list[tuple[Piece, set[str]]] = [
    (Whole(), set()),
    (Items(first=0, count=2, values=Value(inline=b"[1,2]")), set()),
    (Items(first=0, count=2, values=Value(blob=blob("c"))), {"c"}),
    (Files(first=4, files=(file("a.png", "d"), file("b.png", "e"))), {"d", "e"}),
    (Rows(file=file("t.csv", "f"), first=0, count=9, start=10, stop=90, header_stop=10), {"f"}),
    (
        Merge(
            parts=(
                Part(result=Value(inline=b"1"), files=(file("x", "1"),)),
                Part(result=Value(blob=blob("2"))),
            )
        ),
        {"1", "2"},
    ),
]


@pytest.mark.parametrize(("piece", "letters"), PIECES)
def test_all_blobs_are_named(piece: Piece, letters: set[str]) -> None:
    assignment = Assignment(
        attempt_id="r/a/0/1",
        job=Code(code="result = 1"),
        piece=piece,
        inputs=(file("in.csv", "a"),),
        needs={"one": Value(inline=b"1"), "two": Value(blob=blob("b", 3))},
        needs_files={"one": (file("made.csv", "9"),)},
    )
    assert assignment.blobs().keys() == {letter * 64 for letter in letters | {"a", "b", "9"}}
    assert assignment.blobs()["b" * 64] == 3


@pytest.mark.parametrize("piece", [piece for piece, _ in PIECES])
@pytest.mark.parametrize("job", [Code(code="pass"), SkillCall(skill="text.sentiment", args={"column": "text"})])
def test_an_assignment_survives_its_frame(piece: Piece, job: Code | SkillCall) -> None:
    assignment = Assignment(attempt_id="r/a/0/1", job=job, piece=piece, limits=Limits(wall_seconds=5))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(assignment), type=Assignment) == assignment


def test_a_value_has_one_hash_wherever_it_stands() -> None:
    inline = Value(inline=b"[1]")
    assert inline.sha256 == hashlib.sha256(b"[1]").hexdigest()
    assert Value(blob=BlobRef(sha256=inline.sha256, size=3)).sha256 == inline.sha256
