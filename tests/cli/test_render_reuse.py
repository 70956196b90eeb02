"""What is shown of shards whose outcome an earlier attempt gave: nothing ran for them, and the user is told."""

from __future__ import annotations

import datetime
import io

from rich.console import Console, RenderableType

from nadg.cli.progress import RunProgress
from nadg.cli.render import progress as rendered
from nadg.cli.render.answer import verdict
from nadg.cli.render.record import subtasks_table
from nadg.domain.assignment import Merge, Piece, Whole
from nadg.domain.changes import AttemptChanged, ShardChanged, ShardsAdded, SubtaskChanged
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import Plan
from nadg.domain.run import AttemptRecord, RunOptions, RunRecord, ShardRecord, SubtaskRecord
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.domain.tier import Tier

NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)
PLAN = Plan.model_validate({"subtasks": [{"id": "a", "work": {"kind": "python", "code": "result = 1"}}]})


def shown(thing: RenderableType, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(thing)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def outcome(reused_from: str) -> Outcome:
    receipt = Receipt(
        worker="w1",
        sandbox_tier=Tier.LANDLOCK,
        code_sha256="c",
        input_sha256s={},
        started_at=NOON,
        finished_at=NOON,
        exit_code=0,
        reused_from=reused_from,
    )
    return Outcome(kind="succeeded", receipt=receipt)


def progress_of(reused: int, of: int) -> RunProgress:
    """A run whose one subtask has so many shards and a merge; so many of them, and the merge, are reused."""
    progress = RunProgress("run", PLAN, 0.0)
    added = ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),) * of)
    merge = ShardsAdded(subtask_id="a", first=of, pieces=(Merge(parts=()),))
    running = SubtaskChanged(subtask_id="a", state=SubtaskState.RUNNING)
    for change in (running, added, merge):
        progress.apply(change, 1.0)
    for index in (*range(reused), of):
        ended = AttemptChanged(
            attempt_id=f"run/a/{index}/1", state=AttemptState.SUCCEEDED, worker="w1", outcome=outcome("old/a/0/1")
        )
        progress.apply(ended, 2.0)
        progress.apply(ShardChanged(subtask_id="a", index=index, state=ShardState.SUCCEEDED), 2.0)
    return progress


def test_progress_tells_how_many_were_not_done_again() -> None:
    progress = progress_of(3, of=5)
    one = progress.subtasks["a"]
    assert (one.workers, one.seconds(9.0)) == (set(), None), "no worker did anything"
    assert "3/5  3 of 5 reused" in shown(rendered.progress_table(progress, 9.0, width=100), 100)
    progress.apply(SubtaskChanged(subtask_id="a", state=SubtaskState.CANCELLED), 3.0)
    assert rendered.ended_line(one, 9.0) == "– a: cancelled, 3/5 shards, 3 of 5 reused"


def test_where_all_is_reused_no_number_stands() -> None:
    progress = progress_of(5, of=5)
    progress.apply(SubtaskChanged(subtask_id="a", state=SubtaskState.SUCCEEDED), 3.0)
    assert rendered.ended_line(progress.subtasks["a"], 9.0) == "✓ a: succeeded, 5/5 shards, merged, reused"
    none = progress_of(0, of=5).subtasks["a"]
    assert "reused" not in rendered.ended_line(none, 9.0)


def record(*reused_from: str) -> RunRecord:
    """One subtask with a shard for each of these, and a merge that is reused."""

    def shard(index: int, origin: str, piece: Piece) -> ShardRecord:
        attempt = AttemptRecord(
            id=f"r/a/{index}/1",
            number=1,
            state=AttemptState.SUCCEEDED,
            worker="w1",
            started_at=None if origin else NOON,
            finished_at=NOON,
            outcome=outcome(origin),
        )
        return ShardRecord(index=index, state=ShardState.SUCCEEDED, piece=piece, attempts=(attempt,))

    shards = [shard(index, origin, Whole()) for index, origin in enumerate(reused_from)]
    merge = shard(len(shards), "old/a/9/1", Merge(parts=()))
    return RunRecord(
        id="r",
        command="c",
        planner="file",
        state=RunState.SUCCEEDED,
        reason="",
        plan=PLAN,
        inputs=(),
        options=RunOptions(),
        created_at=NOON,
        finished_at=NOON,
        cancel_requested=False,
        subtasks=(SubtaskRecord(id="a", state=SubtaskState.SUCCEEDED, shards=(*shards, merge)),),
    )


def test_a_stored_run_tells_it_in_its_table_and_in_its_verdict() -> None:
    some = record("old/a/0/1", "", "old/a/2/1")
    heading, row = shown(subtasks_table(some)).splitlines()
    assert heading.split()[:6] == ["SUBTASK", "STATE", "SHARDS", "REUSED", "ATTEMPTS", "WORKERS"]
    assert " ".join(row.split()).startswith("a succeeded 3/3 + merge 2 of 3 1 1 ")
    assert "1 attempt on 1 worker, 2 of 3 shards reused" in shown(verdict(some))


def test_where_nothing_is_reused_nobody_is_told_of_it() -> None:
    none = record("", "")
    assert "REUSED" not in shown(subtasks_table(none))
    assert "reused" not in shown(verdict(none))
