"""Cutting a subtask into shards, and making one result of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain.assignment import Files, Items, Part, Rows, Whole
from nadg.domain.blob import BlobRef, FileRef, Value
from nadg.domain.errors import UserError
from nadg.domain.plan import Foreach, Plan, PythonWork, Subtask
from nadg.domain.rows import read_rows
from nadg.domain.run import RunOptions
from nadg.domain.shards import automatic_shard_size
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.gather import gather_artifacts, gather_result
from nadg.orchestrator.pieces import prepare_pieces
from nadg.orchestrator.progress import RunProgress, ShardProgress, SubtaskProgress, create_progress
from nadg.orchestrator.values import read_value, store_value

BLOB = BlobRef(sha256="0" * 64, size=1)


def run_over(foreach: Foreach | None) -> tuple[RunProgress, SubtaskProgress]:
    work = PythonWork(kind="python", code="result = 1")
    source, repeated = Subtask(id="source", work=work), Subtask(id="a", work=work, foreach=foreach)
    run = create_progress("r", Plan(subtasks=(source, repeated)), RunOptions(), {})
    return run, run.subtasks["a"]


def test_no_foreach_is_one_whole_piece(tmp_path: Path) -> None:
    run, subtask = run_over(None)
    assert prepare_pieces(run, subtask, (), BlobFolder(tmp_path)) == (Whole(),)


@given(items=st.lists(st.integers() | st.text(), max_size=40), size=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_items_are_cut_in_order_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, items: list[int | str], size: int
) -> None:
    blobs = BlobFolder(tmp_path_factory.mktemp("blobs"))
    run, subtask = run_over(Foreach(items=list(items), shard_size=size))
    pieces = prepare_pieces(run, subtask, (), blobs)
    cut = [piece for piece in pieces if isinstance(piece, Items)]
    assert [item for piece in cut for item in json.loads(read_value(piece.values, blobs))] == items
    assert [piece.first for piece in cut] == list(range(0, len(items), size))


def test_large_batches_of_items_become_blobs(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    run, subtask = run_over(Foreach(items=["x" * 100_000]))
    (piece,) = prepare_pieces(run, subtask, (), blobs)
    assert isinstance(piece, Items)
    assert piece.values.inline is None
    assert json.loads(read_value(piece.values, blobs)) == ["x" * 100_000]


@given(
    cells=st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
            min_size=2,
            max_size=2,
        ),
        max_size=30,
    ),
    size=st.integers(1, 7),
)
@settings(max_examples=100, deadline=None)
def test_row_batches_read_like_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]], size: int
) -> None:
    blobs = BlobFolder(tmp_path_factory.mktemp("blobs"))
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b"], *cells])
    content = text.getvalue().encode()
    file = FileRef(name="t.csv", blob=blobs.put(content))
    run, subtask = run_over(Foreach(rows_of="t.csv", shard_size=size))
    rows: list[dict[str, str]] = []
    for piece in prepare_pieces(run, subtask, (file,), blobs):
        assert isinstance(piece, Rows)
        assert piece.first == len(rows)
        batch = read_rows("t.csv", content[: piece.header_stop], content[piece.start : piece.stop])
        assert len(batch) == piece.count
        rows.extend(batch)
    assert rows == list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_files_follow_the_pattern_in_input_order(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    ref = blobs.put(b"x")
    inputs = tuple(FileRef(name=name, blob=ref) for name in ("b.png", "notes.txt", "a.png"))
    run, subtask = run_over(Foreach(files="*.png"))
    pieces = prepare_pieces(run, subtask, inputs, blobs)
    assert [file.name for piece in pieces if isinstance(piece, Files) for file in piece.files] == [
        "b.png",
        "a.png",
    ]


@pytest.mark.parametrize(
    ("foreach", "sentence"),
    [
        (Foreach(files="*.gif"), "no input matches *.gif"),
        (Foreach(rows_of="source/none.csv"), "source/none.csv was not made"),
        (Foreach(results_of="source"), "the result of source is not a list"),
    ],
)
def test_what_cannot_be_cut_is_said_in_one_sentence(tmp_path: Path, foreach: Foreach, sentence: str) -> None:
    run, subtask = run_over(foreach)
    run.subtasks["source"].result = Value(inline=b"3")
    with pytest.raises(UserError, match=sentence.replace("*", r"\*")):
        prepare_pieces(run, subtask, (), BlobFolder(tmp_path))


def test_results_of_another_subtask(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    run, subtask = run_over(Foreach(results_of="source", shard_size=2))
    run.subtasks["source"].result = store_value(b'[1,{"a":2},3]', blobs)
    pieces = prepare_pieces(run, subtask, (), blobs)
    assert [read_value(piece.values, blobs) for piece in pieces if isinstance(piece, Items)] == [
        b'[1,{"a":2}]',
        b"[3]",
    ]


def test_automatic_sizes_bound_the_number_of_shards() -> None:
    assert automatic_shard_size(64) == 1
    assert automatic_shard_size(1_000_000) == 1000
    assert automatic_shard_size(3708, 500) == 500


def with_parts(*parts: tuple[bytes, bool, tuple[str, ...]]) -> SubtaskProgress:
    _, subtask = run_over(Foreach(items=[0]))
    for result, per_item, names in parts:
        files = tuple(FileRef(name=name, blob=BLOB) for name in names)
        part = Part(result=Value(inline=result), files=files)
        subtask.shards.append(ShardProgress(piece=Whole(), part=part, per_item=per_item))
    return subtask


def test_item_results_are_joined_and_merged_values_stand_for_their_shard(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    result, _ = gather_result(
        with_parts((b"[1,2]", True, ()), (b'{"sum":7}', False, ()), (b"[3]", True, ())), blobs
    )
    assert json.loads(read_value(result, blobs)) == [1, 2, {"sum": 7}, 3]


def test_artifacts_keep_their_names_unless_two_shards_share_one() -> None:
    apart = gather_artifacts(with_parts((b"1", False, ("a.png",)), (b"1", False, ("b.png",))))
    assert [file.name for file in apart] == ["a.png", "b.png"]
    shared = gather_artifacts(with_parts((b"1", False, ("a.png",)), (b"1", False, ("a.png",))))
    assert [file.name for file in shared] == ["shard-00000/a.png", "shard-00001/a.png"]


@pytest.mark.parametrize(("one", "other"), [("a", "a/b"), ("a/b/c", "a"), ("a/b", "a/b/c/d")])
def test_a_file_and_a_folder_of_one_name_stand_apart(one: str, other: str) -> None:
    """No disk could hold both: neither the next subtask's nor the user's."""
    shared = gather_artifacts(with_parts((b"1", False, (one,)), (b"1", False, (other, "ab"))))
    assert [file.name for file in shared] == [f"shard-00000/{one}", f"shard-00001/{other}", "shard-00001/ab"]
    alone = gather_artifacts(with_parts((b"1", False, (one,)), (b"1", False, (f"x{other}", "ab"))))
    assert [file.name for file in alone] == [one, f"x{other}", "ab"]
