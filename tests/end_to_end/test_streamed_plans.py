"""A plan is carried out while the model writes it: early starts, contradictions, and streams that break off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nadg.bootstrap.asked import ModelWishes
from nadg.domain import changes as ch
from nadg.domain.errors import ModelUnavailable
from nadg.domain.states import SubtaskState
from tests.support.gemini import Answer, BreakOff, Fail, Say
from tests.support.model_grid import Finished, ModelGrid, model_grid
from tests.support.seed_plans import EXAMPLES

DOWN = Fail(503, message="The model is overloaded.")
CHUNK = 16


def python(subtask_id: str, code: str, needs: Sequence[str] = ()) -> dict[str, Any]:
    return {"id": subtask_id, "needs": list(needs), "work": {"kind": "python", "code": code}}


def plan(*subtasks: dict[str, Any], answer: str) -> str:
    return json.dumps({"subtasks": list(subtasks), "answer": answer, "goal": "sums"})


A, B = python("a", "result = 1"), python("b", "result = needs['a'] + 1", ["a"])
C = python("c", "result = needs['b'] + 1", ["b"])


class Ended:
    """Knows, on the grid's loop, when subtasks ended; holds a stream before its chunk of a number until then."""

    def __init__(self, *subtask_ids: str, chunk: int) -> None:
        self._missing, self._hold_at = set(subtask_ids), chunk
        self.chunks = 0
        self._all = asyncio.Event()

    def seen(self, change: ch.Change) -> None:
        if isinstance(change, ch.SubtaskChanged) and change.state is SubtaskState.SUCCEEDED:
            self._missing.discard(change.subtask_id)
            if not self._missing:
                self._all.set()

    async def gate(self) -> None:
        self.chunks += 1
        if self.chunks == self._hold_at:
            await self._all.wait()


def states(done: Finished) -> dict[str, str]:
    return {one["id"]: one["state"] for one in done.document["subtasks"]}


def test_the_first_subtasks_end_before_the_last_chunk_of_the_plan_is_sent(grid: ModelGrid) -> None:
    text = plan(A, B, C, answer="c")
    ended = Ended("a", "b", chunk=-(-len(text) // CHUNK))
    done = grid.run("early", seen=ended.seen, gate=ended.gate, plan=Say(text, chunk=CHUNK, tokens_per_second=1))
    assert ended.chunks == -(-len(text) // CHUNK)
    assert done.subtask("c")["result"] == 3
    changes = done.watcher.changes
    settled = next(at for at, one in enumerate(changes) if isinstance(one, ch.PlanSettled))
    ends = [one.subtask_id for one in changes[:settled] if isinstance(one, ch.SubtaskChanged) and one.result]
    assert ends[:2] == ["a", "b"]


def test_the_corrected_plan_is_what_counts(grid: ModelGrid) -> None:
    """The first answer starts a and b; its third subtask is impossible; the second drops a and changes b."""
    wrong = {"id": "c", "needs": ["b"], "work": {"kind": "skill", "skill": "text.nothing_like_it"}}
    first = plan(A, B, wrong, answer="c")
    other = python("b", "result = 40")
    second = plan(other, python("c", "result = needs['b'] + 2", ["b"]), answer="c")
    ended = Ended("a", "b", chunk=-(-len(first) // CHUNK))
    answers: list[Answer] = [Say(first, chunk=CHUNK, tokens_per_second=1), Say(second)]
    done = grid.run("correct", seen=ended.seen, gate=ended.gate, plan=answers)

    assert (done.document["state"], done.document["reason"]) == ("succeeded", "")
    assert {one: done.subtask(one)["result"] for one in ("b", "c")} == {"b": 40, "c": 42}
    assert "text.nothing_like_it" in done.asked("plan")[1].text
    assert any("is asked to mend" in notice for notice in done.watcher.notices)
    hashes = [attempt["code_sha256"] for attempt in done.attempts("b")]
    assert len(hashes) == len(set(hashes)) == 2, "what was done for the first definition stays on record"
    assert [shard["index"] for shard in done.subtask("b")["shards"]] == [0, 1]
    assert done.subtask("a")["needs"] == []
    assert [one["id"] for one in done.document["subtasks"]].count("b") == 1
    assert "42" in done.answer


def test_a_cycle_is_corrected_too(grid: ModelGrid) -> None:
    """Neither c nor d of the first answer may ever start."""
    first = plan(A, python("c", "result = 2", ["d"]), python("d", "result = 3", ["c"]), answer="d")
    second = plan(
        A, python("c", "result = 2"), python("d", "result = needs['a'] + needs['c']", ["a", "c"]), answer="d"
    )
    done = grid.run("cycle", plan=[Say(first), Say(second)])
    assert done.document["state"] == "succeeded"
    assert done.subtask("d")["result"] == 3
    assert [len(done.attempts(one)) for one in "acd"] == [1, 1, 1]


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is down is asked again in no time."""
    monkeypatch.setattr("nadg.models.asking.BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr("nadg.models.breaker.OPEN_SECONDS", 0.0)


def broken_in_c(text: str) -> tuple[BreakOff, Ended]:
    """A stream that ends in an error while it writes c, when a and b have succeeded."""
    after = text.index('{"id": "c"') + 2 * CHUNK  # the last chunk, which is held back, has nothing of b
    return BreakOff(text, after=after, chunk=CHUNK, tokens_per_second=1), Ended("a", "b", chunk=-(-after // CHUNK))


@pytest.mark.usefixtures("short_pauses")
def test_a_stream_that_breaks_off_is_asked_for_again_and_nothing_runs_twice(grid: ModelGrid) -> None:
    text = plan(A, B, C, answer="c")
    broken, ended = broken_in_c(text)
    done = grid.run("again", seen=ended.seen, gate=ended.gate, plan=[broken, Say(text)])
    assert done.document["state"] == "succeeded"
    assert done.subtask("c")["result"] == 3
    assert [len(done.attempts(one)) for one in "abc"] == [1, 1, 1]
    assert [one["state"] for one in done.calls("plan")] == ["failed", "answered"]
    assert "503" in done.calls("plan")[0]["reason"]


@pytest.mark.usefixtures("short_pauses")
def test_the_builtin_planner_goes_on_where_the_provider_went_down(grid: ModelGrid) -> None:
    broken, ended = broken_in_c(plan(A, B, C, answer="c"))
    command = "Perform a statistical analysis of the dataset"
    done = grid.run(
        command,
        [EXAMPLES / "cars.csv"],
        seen=ended.seen,
        gate=ended.gate,
        plan=[broken, DOWN],
        answer=DOWN,
    )
    assert (done.document["state"], done.document["reason"]) == ("succeeded", "")
    assert any("the built-in planner plans instead" in notice for notice in done.watcher.notices)
    assert "406 rows" in done.answer
    assert states(done)["a"] == states(done)["b"] == "succeeded", "what was done is kept on record"
    assert done.document["planner"] == "google:gemini-3.5-flash-lite, then builtin"


@pytest.mark.usefixtures("short_pauses")
def test_a_run_that_nobody_can_plan_to_its_end_fails_and_keeps_what_is_done(grid: ModelGrid) -> None:
    broken, ended = broken_in_c(plan(A, B, C, answer="c"))
    done = grid.run("hum a tune", seen=ended.seen, gate=ended.gate, plan=[broken, DOWN], answer=DOWN)
    assert done.document["state"] == "failed"
    assert "503" in done.document["reason"]
    assert "the built-in planner cannot do it" in done.document["reason"]
    assert "\n" not in done.document["reason"]
    assert (done.subtask("a")["result"], done.subtask("b")["result"]) == (1, 2)
    assert [one["state"] for one in done.calls("plan")] == ["failed"] * 3
    assert done.asked("answer") == []


def test_what_planning_took_is_known_where_the_run_ends_first(grid: ModelGrid) -> None:
    """The stream is held for good; the subtask that it began with fails."""
    text = plan(python("a", "raise SystemExit('no')"), B, C, answer="c")
    held = Ended("never", chunk=-(-len(text) // CHUNK))
    done = grid.run("stop", gate=held.gate, plan=Say(text, chunk=CHUNK, tokens_per_second=1), repair=DOWN)
    assert done.document["state"] == "failed"
    assert [one["state"] for one in done.calls("plan")] == ["failed"]
    assert "given up" in done.calls("plan")[0]["reason"]


@pytest.mark.usefixtures("short_pauses")
def test_who_wants_a_model_only_gets_no_other_planner(tmp_path: Path) -> None:
    with (
        model_grid(tmp_path / "home", ModelWishes(planner="model"), workers=1) as grid,
        pytest.raises(ModelUnavailable, match="503"),
    ):
        grid.run("Perform a statistical analysis of the dataset", [EXAMPLES / "cars.csv"], plan=DOWN)
