"""What `nadg runs show` lists of files and notes, whatever they are called."""

from __future__ import annotations

import datetime
import io

import msgspec
from rich.console import Console

from nadg.cli.console import print_table
from nadg.cli.render.record import files_table, note_lines, subtasks_table
from nadg.domain.assignment import Merge, Whole
from nadg.domain.blob import BlobRef, FileRef
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import AttemptRecord, RunOptions, RunRecord, ShardRecord, SubtaskRecord
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.domain.tier import Tier

NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)


def record(names: tuple[str, ...] = (), notes: tuple[str, ...] = ()) -> RunRecord:
    receipt = Receipt(
        worker="w",
        sandbox_tier=Tier.LANDLOCK,
        code_sha256="c",
        input_sha256s={},
        started_at=NOON,
        finished_at=NOON,
    )
    attempt = AttemptRecord(
        id="r/a/0/1",
        number=1,
        state=AttemptState.SUCCEEDED,
        worker="w",
        started_at=NOON,
        finished_at=NOON,
        outcome=Outcome(kind="succeeded", receipt=receipt, notes=notes),
    )
    subtask = SubtaskRecord(
        id="a",
        state=SubtaskState.SUCCEEDED,
        artifacts=tuple(FileRef(name=name, blob=BlobRef(sha256="0" * 64, size=1200)) for name in names),
        shards=(ShardRecord(index=0, state=ShardState.SUCCEEDED, piece=Whole(), attempts=(attempt,)),),
    )
    return RunRecord(
        id="r",
        command="c",
        planner="file",
        state=RunState.SUCCEEDED,
        reason="",
        plan=Plan(goal="g", subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="1")),)),
        inputs=(),
        options=RunOptions(),
        created_at=NOON,
        finished_at=NOON,
        cancel_requested=False,
        subtasks=(subtask,),
    )


def listed(run: RunRecord) -> list[str]:
    table = files_table(run)
    assert table is not None
    console = Console(file=io.StringIO(), width=160, markup=False, emoji=False, highlight=False)
    print_table(console, table)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_files_are_listed_a_line_each_whatever_they_are_called() -> None:
    names = ("plot.png", "two\nlines", "\\xff", "\x1b[2J", "gpj.\u202eexe", "[red]x[/red]", "é" * 300)
    assert listed(record(names)) == [
        "SUBTASK  SIZE    FILE",
        "a        1.2 kB  plot.png",
        "a        1.2 kB  two\\x0alines",
        "a        1.2 kB  \\xff",
        "a        1.2 kB  \\x1b[2J",
        "a        1.2 kB  gpj.\\u202eexe",
        "a        1.2 kB  [red]x[/red]",
        f"a        1.2 kB  {'é' * 79}…",
    ]


def test_a_subtask_is_told_by_what_began_and_what_it_was_cut_into() -> None:
    run = record()
    (one,) = run.subtasks
    waited = AttemptRecord(id="r/a/1/1", number=1, state=AttemptState.LOST, worker="elsewhere")
    more = (
        ShardRecord(index=1, state=ShardState.SUCCEEDED, piece=Whole(), attempts=(waited,)),
        ShardRecord(index=2, state=ShardState.SUCCEEDED, piece=Merge(parts=())),
    )
    told = msgspec.structs.replace(run, subtasks=(msgspec.structs.replace(one, shards=(*one.shards, *more)),))
    console = Console(file=io.StringIO(), width=160)
    console.print(subtasks_table(told))
    assert isinstance(console.file, io.StringIO)
    heading, row = console.file.getvalue().splitlines()
    assert heading.split()[:5] == ["SUBTASK", "STATE", "SHARDS", "ATTEMPTS", "WORKERS"]
    assert " ".join(row.split()).startswith("a succeeded 2/2 + merge 1 1 ")


def test_of_very_many_files_some_are_listed() -> None:
    lines = listed(record(tuple(f"{number}" for number in range(100_000))))
    assert len(lines) == 52
    assert lines[-1].endswith("and 99,950 more files; --json lists them all")
    assert len(listed(record(tuple("abc")))) == 4
    assert files_table(record()) is None


def test_what_was_not_collected_is_told() -> None:
    notes = note_lines(record(notes=("sym: not collected, it is not a regular file", "two\nlines")))
    assert notes == ["a: sym: not collected, it is not a regular file", "a: two lines"]
    many = note_lines(record(notes=tuple(f"{number}" for number in range(25))))
    assert len(many) == 21
    assert many[-1] == "… and 5 more notes"
