"""A prompt that is repeated over many items and breaks off in the middle asks again only for what is missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nadg.bootstrap.asked import ModelWishes
from tests.support.gemini import Answer, BlockPrompt, Fail, Request, Say
from tests.support.model_grid import Finished, ModelGrid, model_grid
from tests.support.scripted_model import as_json, item_of

DOWN = Fail(503, message="The model is overloaded.")
COUNT = 100
ANSWERED = 60


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is down is asked again in no time."""
    monkeypatch.setattr("nadg.models.asking.BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr("nadg.models.breaker.OPEN_SECONDS", 0.0)


def planned(shard_size: int, prompt: str = "Spell it.") -> Answer:
    each = {"items": [f"word {number}" for number in range(COUNT)], "shard_size": shard_size}
    subtasks: list[dict[str, Any]] = [
        {"id": "before", "work": {"kind": "python", "code": "result = 7"}},
        {"id": "each", "needs": ["before"], "foreach": each, "work": {"kind": "prompt", "prompt": prompt}},
        {"id": "all", "needs": ["each"], "work": {"kind": "python", "code": "result = needs['each']"}},
    ]
    return as_json({"subtasks": subtasks, "answer": "all", "goal": "spell"})


class Speller:
    """Answers so many items, then is down until `mended`; counts what was asked and answered."""

    def __init__(self, answers: int) -> None:
        self._left = answers
        self.asked: Counter[str] = Counter()
        self.answered: list[str] = []

    def mend(self) -> None:
        self._left = COUNT
        self.asked.clear()

    def __call__(self, request: Request) -> Answer:
        item = str(item_of(request))
        self.asked[item] += 1
        if not self._left:
            return DOWN
        self._left -= 1
        self.answered.append(item)
        return Say(f"spelled {item}")


def all_spelled(done: Finished) -> None:
    assert (done.document["state"], done.document["reason"]) == ("succeeded", "")
    assert done.subtask("all")["result"] == [f"spelled word {number}" for number in range(COUNT)]


def test_the_same_command_again_asks_only_for_the_missing_items(grid: ModelGrid) -> None:
    """Ten shards; the provider goes down for good after 60 answers."""
    speller = Speller(ANSWERED)
    failed = grid.run("spell", plan=planned(10), prompt=speller)
    assert failed.document["state"] == "failed"
    assert "503" in failed.document["reason"]
    assert "\n" not in failed.document["reason"]
    assert failed.subtask("before")["result"] == 7, "what was done before is kept"
    assert len(set(speller.answered)) == len(speller.answered) == ANSWERED, "none was asked for twice"
    attempts = [attempt for shard in failed.subtask("each")["shards"] for attempt in shard["attempts"]]
    assert {one["worker"] for one in attempts} == {"master"}
    assert any(one["state"] == "lost" for one in attempts)

    before = set(speller.answered)
    speller.mend()
    done = grid.run("spell", plan=planned(10), prompt=speller)
    all_spelled(done)
    assert set(speller.asked) == {f"word {number}" for number in range(COUNT)} - before
    assert set(speller.asked.values()) == {1}
    assert done.asked("plan") == [], "the plan came out of the cache too"
    states = Counter(one["state"] for one in done.calls("prompt"))
    assert states == {"cached": ANSWERED, "answered": COUNT - ANSWERED}
    assert done.document["usage"]["cached"] == ANSWERED + 1


class Flickers(Speller):
    """Is down for the three tries of one item, once, and answers everything else."""

    def __init__(self) -> None:
        super().__init__(COUNT)

    def __call__(self, request: Request) -> Answer:
        item = str(item_of(request))
        if item == "word 42" and self.asked[item] < 3:
            self.asked[item] += 1
            return DOWN
        return super().__call__(request)


def test_without_the_cache_too_a_lost_shard_asks_only_for_its_missing_items(tmp_path: Path) -> None:
    with model_grid(tmp_path / "home", ModelWishes(use_cache=False), workers=1) as grid:
        flickers = Flickers()
        done = grid.run("spell", plan=planned(COUNT), prompt=flickers)
        all_spelled(done)
        (shard,) = done.subtask("each")["shards"]
        assert [one["state"] for one in shard["attempts"]] == ["lost", "succeeded"]
        assert flickers.asked.pop("word 42") == 4
        assert set(flickers.asked.values()) == {1}

        again = Speller(COUNT)
        all_spelled(grid.run("spell", plan=planned(COUNT), prompt=again))
        assert len(again.asked) == COUNT, "but another run takes nothing of this one"


def test_items_that_a_model_will_not_answer_fail_alone(grid: ModelGrid) -> None:
    """An empty or blocked answer is that item's failure, and stands in its place."""

    def spell(request: Request) -> Answer:
        item = str(item_of(request))
        return BlockPrompt() if item == "word 7" else Say(f"spelled {item}")

    done = grid.run("spell all but one", plan=planned(50, "Say it."), prompt=spell)
    assert done.document["state"] == "succeeded"
    result = done.subtask("all")["result"]
    assert result[8] == "spelled word 8"
    assert set(result[7]) == {"failed"}
    (note,) = done.attempts("each")[0]["notes"]
    assert note.startswith("item 7 has no answer: ")
