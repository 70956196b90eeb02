"""The answer that a model composes: founded on results, or not given; long results are shortened step by step."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.gemini import Answer, Fail, Request, Say
from tests.support.model_grid import ModelGrid
from tests.support.scripted_model import as_json, data_in, results_in

DOWN = Fail(503, message="The model is overloaded.")


def planned(code: str) -> Answer:
    """One subtask, and one that rests on it."""
    subtasks = [
        {"id": "count", "work": {"kind": "python", "code": code}},
        {"id": "length", "needs": ["count"], "work": {"kind": "python", "code": "result = len(needs['count'])"}},
    ]
    return as_json({"subtasks": subtasks, "answer": "length", "goal": "count"})


FIVE = planned("result = 'abcde'")
FOUNDED = "The text has 5 characters. [length]"
UNFOUNDED = "It was a pleasure to read."
UNKNOWN = "It is also blue. [colour]"


def test_claims_without_a_result_are_asked_for_again_once_and_then_left_out(grid: ModelGrid) -> None:
    whole = f"## Length\n\n{FOUNDED}\n\n{UNFOUNDED}\n\n## Colour\n\n- {UNKNOWN}"
    done = grid.run("count once", plan=FIVE, answer=Say(whole))
    assert done.document["state"] == "succeeded"
    first, second = done.asked("answer")
    assert [role for role, _ in second.contents] == ["user", "model", "user"]
    again = second.contents[-1][1]
    assert UNFOUNDED in again
    assert UNKNOWN in again
    assert FOUNDED not in again
    assert first.contents == second.contents[:1]
    assert FOUNDED in done.answer
    assert "pleasure" not in done.answer
    assert "olour" not in done.answer
    assert done.watcher.notices == ["2 claims of the answer rested on no result and had to be left out"]


def test_an_answer_that_is_mended_counts_whole(grid: ModelGrid) -> None:
    better = f"{FOUNDED}\n\nThe text is abcde. [count]"
    done = grid.run("count better", plan=FIVE, answer=[Say(f"{FOUNDED}\n\n{UNFOUNDED}"), Say(better)])
    assert done.answer.startswith(better)
    assert len(done.asked("answer")) == 2
    assert done.watcher.notices == []


def test_without_any_reference_the_last_result_is_the_answer(grid: ModelGrid) -> None:
    done = grid.run("count blindly", plan=FIVE, answer=Say(UNFOUNDED))
    assert done.document["state"] == "succeeded"
    assert len(done.asked("answer")) == 2
    assert done.record.answer == ""
    assert UNFOUNDED not in done.answer
    assert re.search(r"\b5\b", done.answer)
    assert done.watcher.notices == [
        "1 claim of the answer rested on no result and had to be left out",
        "the model founded no claim on a result, so the answer is the last result itself",
    ]


def test_a_provider_that_is_down_at_the_answer_costs_only_its_words(
    grid: ModelGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nadg.models.asking.BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr("nadg.models.breaker.OPEN_SECONDS", 0.0)
    done = grid.run("count alone", plan=FIVE, answer=DOWN)
    assert (done.document["state"], done.record.answer) == ("succeeded", "")
    assert re.search(r"\b5\b", done.answer)
    (notice,) = done.watcher.notices
    assert notice.startswith("the answer is not a model's, but the last result itself: ")
    assert "503" in notice
    assert [one["state"] for one in done.calls("answer")] == ["failed"] * 3


def test_a_long_result_is_shortened_step_by_step(grid: ModelGrid) -> None:
    """100,000 characters do not fit: parts of 30,000 are shortened, and the answer rests on all of them."""
    code = "result = ''.join(f'<{number:07d}>' + 'x' * 991 for number in range(100))"

    def shorten(request: Request) -> Answer:
        (part,) = data_in(request).values()
        numbers = re.findall(r"<(\d{7})>", part)
        return Say(f"Marks {int(numbers[0])} to {int(numbers[-1])}.")

    def answer(request: Request) -> Answer:
        results = results_in(request)
        return Say(
            f"The text is {results['length']} long [length] and has: {' '.join(results['count'].split())} [count]"
        )

    done = grid.run("shorten", plan=planned(code), shorten=shorten, answer=answer)
    assert done.document["state"] == "succeeded"
    parts = [next(iter(data_in(one).values())) for one in done.asked("shorten")]
    assert [len(part) for part in parts] == [30_000, 30_000, 30_000, 10_000]
    assert "".join(parts) == done.subtask("count")["result"]
    assert "The text is 100000 long" in done.answer
    for marks in ("Marks 0 to 29.", "Marks 30 to 59.", "Marks 60 to 89.", "Marks 90 to 99."):
        assert marks in done.answer
    assert len(done.asked("answer")[0].text) < 60_000
    assert [one["purpose"] for one in done.document["calls"]] == ["plan", *["answer"] * 5]


def test_a_failed_subtask_is_told_to_the_one_who_writes(grid: ModelGrid) -> None:
    """What did not succeed stands in the request, and no claim may rest on it."""
    subtasks: list[dict[str, Any]] = [
        {"id": "good", "work": {"kind": "python", "code": "result = 3"}},
        {"id": "bad", "on_failure": "continue", "work": {"kind": "python", "code": "raise ValueError('no luck')"}},
        {"id": "both", "needs": ["good"], "work": {"kind": "python", "code": "result = needs['good']"}},
    ]
    plan = json.dumps({"subtasks": subtasks, "answer": "both", "goal": "try"})
    text = "Three was found. [good][both]\n\nMore was found. [bad]"
    same = as_json({"cause": "none", "code": "raise ValueError('no luck')"})
    done = grid.run("try", plan=Say(plan), answer=Say(text), repair=same)
    assert (done.document["state"], done.document["reason"]) == ("succeeded", "")
    assert "no luck" in data_in(done.asked("answer")[0])["what did not succeed"]
    assert "Three was found." in done.answer
    assert "More was found." not in done.answer
