"""The folder a user gets."""

from __future__ import annotations

import datetime
import json
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg.domain.assignment import Whole
from nadg.domain.blob import FileRef, Value
from nadg.domain.errors import UserError
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import AttemptRecord, RunOptions, RunRecord, ShardRecord, SubtaskRecord
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.domain.tier import Tier
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.answer import compose_answer
from nadg.orchestrator.export import export_run, safe_name

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def record(
    blobs: BlobFolder, result: bytes | None, *, state: RunState = RunState.SUCCEEDED, names: tuple[str, ...] = ()
) -> RunRecord:
    receipt = Receipt(
        worker="w1",
        sandbox_tier=Tier.LANDLOCK,
        code_sha256="c",
        input_sha256s={"a.csv": "i"},
        started_at=NOW,
        finished_at=NOW,
        exit_code=0,
    )
    attempt = AttemptRecord(
        id="r/a/0/1",
        number=1,
        state=AttemptState.SUCCEEDED,
        worker="w1",
        started_at=NOW,
        finished_at=NOW,
        outcome=Outcome(kind="succeeded", receipt=receipt),
    )
    shard = ShardRecord(index=0, state=ShardState.SUCCEEDED, piece=Whole(), attempts=(attempt,))
    subtask = SubtaskRecord(
        id="a",
        state=SubtaskState.SUCCEEDED if result is not None else SubtaskState.FAILED,
        reason="" if result is not None else "ValueError: no",
        result=Value(inline=result) if result is not None else None,
        artifacts=tuple(FileRef(name=name, blob=blobs.put(name.encode())) for name in names),
        shards=(shard,),
    )
    return RunRecord(
        id="r",
        command="do it",
        planner="file",
        state=state,
        reason="" if state is RunState.SUCCEEDED else "a failed: ValueError: no",
        plan=Plan(goal="The goal", subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="1")),)),
        inputs=(),
        options=RunOptions(),
        created_at=NOW,
        finished_at=NOW,
        cancel_requested=False,
        subtasks=(subtask,),
    )


def test_the_folder_holds_answer_artifacts_and_proof(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    run = record(blobs, b'{"markdown":"# Hello"}', names=("plot.png", "deep/er.txt"))
    document = export_run(run, tmp_path / "out", blobs)
    assert (tmp_path / "out/answer.md").read_text() == "# Hello\n"
    assert (tmp_path / "out/artifacts/a/deep/er.txt").read_bytes() == b"deep/er.txt"
    assert json.loads((tmp_path / "out/run.json").read_text()) == document
    attempt = document["subtasks"][0]["shards"][0]["attempts"][0]
    assert attempt["sandbox_tier"] == "landlock"
    assert attempt["input_sha256s"] == {"a.csv": "i"}


def test_writing_twice_replaces(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    run = record(blobs, b"1", names=("plot.png",))
    export_run(run, tmp_path / "out", blobs)
    export_run(run, tmp_path / "out", blobs)
    assert (tmp_path / "out/artifacts/a/plot.png").read_bytes() == b"plot.png"


def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    blobs = BlobFolder(tmp_path / "blobs")
    with pytest.raises(UserError, match=r"--out .*name a writable folder"):
        export_run(record(blobs, b"1"), tmp_path / "out", blobs)


@pytest.mark.parametrize(
    ("result", "shown"), [(b"3.14", "**3.14**"), (b'"text"', "text"), (b"[1,2]", "```json"), (b"null", "**null**")]
)
def test_plain_results_are_shown_plainly(tmp_path: Path, result: bytes, shown: str) -> None:
    blobs = BlobFolder(tmp_path)
    assert shown in compose_answer(record(blobs, result), blobs)


def test_a_failed_run_says_so_first(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    text = compose_answer(record(blobs, None, state=RunState.FAILED), blobs)
    assert text.startswith("**This run failed**: a failed: ValueError: no.")
    assert "- **a** failed: ValueError: no" in text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_safe_name_never_leaves_its_folder_on_any_system(name: str) -> None:
    safe = safe_name(name)
    assert safe
    path = PureWindowsPath(safe)
    assert not path.is_absolute()
    assert not path.drive
    assert ".." not in path.parts
    assert not path.is_reserved()


def test_different_names_stay_different() -> None:
    names = ["a:b", "a%3Ab", "a?b", "con", "%63on", "x.", "x%2E"]
    assert len({safe_name(name) for name in names}) == len(names)
