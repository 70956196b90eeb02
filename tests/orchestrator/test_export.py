"""The folder a user gets."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest

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
from nadg.orchestrator.export import export_run

HARMFUL = "\x1b[2Jboo\u202e\x9b31m\tnext\nline \u2066é 🌆 \x07\r over"
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def record(
    blobs: BlobFolder,
    result: bytes | None,
    *,
    state: RunState = RunState.SUCCEEDED,
    names: tuple[str, ...] = (),
    subtask_id: str = "a",
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
        id=subtask_id,
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
        plan=Plan(goal="The goal", subtasks=(Subtask(id=subtask_id, work=PythonWork(kind="python", code="1")),)),
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


@pytest.mark.parametrize("result", [HARMFUL, {"markdown": HARMFUL}, [HARMFUL], {HARMFUL: 1}])
def test_nothing_in_an_answer_acts_on_a_terminal(tmp_path: Path, result: object) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    document = export_run(record(blobs, json.dumps(result).encode()), tmp_path / "out", blobs)
    text = (tmp_path / "out/answer.md").read_text()
    assert not set(text) & set("\x1b\x9b\u202e\u2066\r\x07")
    assert "boo\\u202e" in text
    assert document["answer"] == text
    if result == HARMFUL:
        assert text == "\\x1b[2Jboo\\u202e\\x9b31m\tnext\nline \\u2066é 🌆 \\x07\\x0d over\n"
        assert document["subtasks"][0]["result"] == HARMFUL, "data stays what it is"


def test_the_words_of_a_failure_do_not_act_on_a_terminal(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    run = record(blobs, None, state=RunState.FAILED)
    (one,) = run.subtasks
    told = msgspec.structs.replace(run, reason=HARMFUL, subtasks=(msgspec.structs.replace(one, reason=HARMFUL),))
    assert not set(compose_answer(told, blobs)) & set("\x1b\x9b\u202e\u2066\r\x07")


def test_a_failed_run_says_so_first(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    text = compose_answer(record(blobs, None, state=RunState.FAILED), blobs)
    assert text.startswith("**This run failed**: a failed: ValueError: no.")
    assert text.count("ValueError: no") == 1, "the reason is told once"


def test_a_run_whose_plan_was_not_finished_has_no_answer(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    unfinished = msgspec.structs.replace(record(blobs, b"3", state=RunState.CANCELLED), planning=True)
    text = compose_answer(unfinished, blobs)
    assert "Its plan was not finished, so there is no answer." in text
    assert "**3**" not in text


ODD_NAMES = (
    "a", "A", "a/b", "con", "NUL.txt", "dot.", "two\nlines", "\\xff", "\\x5cxff", "é", "e\u0301", "a:b|c?.txt",
    "back\\slash", "gpj.\u202eexe", "x" * 255, "漢" * 85, "d/" * 60 + "f", "-rf", "~1", "100%",
)  # fmt: skip


def test_artifacts_of_any_name_are_unpacked_and_recorded(tmp_path: Path) -> None:
    """Each is a file of its own, and `run.json` says which; the content of each is its name."""
    blobs = BlobFolder(tmp_path / "blobs")
    document = export_run(record(blobs, b"1", names=ODD_NAMES), tmp_path / "out", blobs)
    assert json.loads((tmp_path / "out/run.json").read_text()) == document
    artifacts = document["subtasks"][0]["artifacts"]
    assert tuple(one["name"] for one in artifacts) == ODD_NAMES
    for one in artifacts:
        assert (tmp_path / "out" / one["path"]).read_text() == one["name"]
    written = [path for path in (tmp_path / "out/artifacts").rglob("*") if path.is_file()]
    assert len(written) == len(ODD_NAMES)


def test_names_that_point_elsewhere_stay_within(tmp_path: Path) -> None:
    """A worker of somebody else may say anything."""
    names = ("../../escaped", "/escaped", "..", ".", "", "a/../../../escaped", "\\x2e\\x2e/escaped")
    blobs = BlobFolder(tmp_path / "blobs")
    document = export_run(record(blobs, b"1", names=names), tmp_path / "run/out", blobs)
    for one in document["subtasks"][0]["artifacts"]:
        assert (tmp_path / "run/out" / one["path"]).read_text() == one["name"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs", "run"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "run/out/artifacts").iterdir()] == ["a"]


def test_a_subtask_with_the_name_of_a_device_has_a_folder_on_windows(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    run = record(blobs, b"1", names=("plot.png",), subtask_id="aux")
    document = export_run(run, tmp_path / "out", blobs)
    assert document["subtasks"][0]["artifacts"][0]["path"] == "artifacts/%61ux/plot.png"
    assert (tmp_path / "out/artifacts/%61ux/plot.png").is_file()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plot.png", "![plot.png](artifacts/a/plot.png)"),
        ("a b](x).png", "![a b\\](x).png](artifacts/a/a%20b%5D%28x%29.png)"),
        ("two\nlines.png", "![two\\\\x0alines.png](artifacts/a/two%250Alines.png)"),
    ],
)
def test_the_answer_shows_pictures_where_they_are_unpacked(tmp_path: Path, name: str, shown: str) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    run = record(blobs, b"1", names=(name,))
    document = export_run(run, tmp_path / "out", blobs)
    assert compose_answer(run, blobs).endswith(f"\n\n{shown}\n")
    link = shown.rpartition("](")[2].removesuffix(")")
    assert unquote(link) == document["subtasks"][0]["artifacts"][0]["path"]


def test_an_answer_of_very_many_pictures_shows_some(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    text = compose_answer(record(blobs, b"1", names=tuple(f"{number}.png" for number in range(1100))), blobs)
    assert text.count("![") == 100
    assert "1,000 more pictures" in text
