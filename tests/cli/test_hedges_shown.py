"""How a second attempt beside a slow one is asked for, switched off and shown."""

from __future__ import annotations

import msgspec
import pytest

from nadg.cli import session
from nadg.cli.main import run_command_line
from nadg.cli.progress import RunProgress
from nadg.cli.render import progress as rendered
from nadg.cli.render.record import note_lines
from nadg.cli.session import RunRequest
from nadg.domain.assignment import Whole
from nadg.domain.changes import AttemptAdded, AttemptChanged, Change, ShardChanged, ShardsAdded, SubtaskChanged
from nadg.domain.run import AttemptRecord
from nadg.domain.states import AttemptState, ShardState, SubtaskState
from nadg.settings import Settings
from tests.cli.test_render import plan, shown
from tests.cli.test_render_record import NOON, record

QUICKER = "another attempt of it was quicker"


def of(number: int, state: AttemptState, worker: str) -> AttemptChanged:
    return AttemptChanged(attempt_id=f"run/throw/0/{number}", state=state, worker=worker)


def test_progress_tells_that_a_slow_shard_was_tried_twice_and_of_no_loss() -> None:
    progress = RunProgress("run", plan(), 0.0)
    first = AttemptAdded(attempt_id="run/throw/0/1", subtask_id="throw", index=0, number=1)
    second = AttemptAdded(attempt_id="run/throw/0/2", subtask_id="throw", index=0, number=2, hedge=True)
    changes: list[Change] = [
        ShardsAdded(subtask_id="throw", first=0, pieces=(Whole(), Whole())),
        SubtaskChanged(subtask_id="throw", state=SubtaskState.RUNNING),
        first,
        of(1, AttemptState.RUNNING, "w1"),
        second,
        of(2, AttemptState.RUNNING, "w2"),
    ]
    for change in changes:
        progress.apply(change, 1.0)
    assert "on 2 workers  1 slow shard tried twice" in shown(rendered.progress_table(progress, 3.0, 2, width=100))
    for change in (
        of(2, AttemptState.SUCCEEDED, "w2"),
        AttemptChanged(attempt_id="run/throw/0/1", state=AttemptState.CANCELLED, worker="w1", reason=QUICKER),
        ShardChanged(subtask_id="throw", index=0, state=ShardState.SUCCEEDED),
        SubtaskChanged(subtask_id="throw", state=SubtaskState.SUCCEEDED),
    ):
        progress.apply(change, 4.0)
    expected = "✓ throw: succeeded, 1/2 shards, 2 workers, 1 slow shard tried twice, 3.0 s"
    assert rendered.ended_line(progress.subtasks["throw"], 9.0) == expected


def test_the_attempt_that_was_slower_is_told_in_the_record() -> None:
    run = record()
    (one,) = run.subtasks
    (shard,) = one.shards
    slower = AttemptRecord(
        id="r/a/0/0", number=0, state=AttemptState.CANCELLED, worker="slow", reason=QUICKER, started_at=NOON
    )
    both = msgspec.structs.replace(shard, attempts=(slower, *shard.attempts))
    run = msgspec.structs.replace(run, subtasks=(msgspec.structs.replace(one, shards=(both,)),))
    assert note_lines(run) == [f"a: an attempt on slow was cancelled: {QUICKER}"]


@pytest.mark.parametrize(("options", "hedge"), [([], True), (["--no-hedge"], False)])
def test_hedging_is_on_unless_it_is_switched_off(
    options: list[str], hedge: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunRequest] = []

    async def take(settings: Settings, request: RunRequest) -> int:
        asked.append(request)
        return 0

    monkeypatch.setattr(session, "carry_out", take)
    assert run_command_line(["run", "count the words", *options]) == 0
    assert asked[0].options.hedge is hedge
