"""Prompt work that is answered in plain text: what is empty or cut off is not taken in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nadg.domain.assignment import Whole
from nadg.domain.model_calls import ModelUsage
from nadg.models.call import Reply
from nadg.models.fake_door import Scripted
from tests.orchestrator.test_prompt_engine import Trial

CUT_OFF = "the answer of google:m was cut off at 256 tokens; give it more with max_output_tokens"
EMPTY = "the answer of fake:script is empty; word the prompt otherwise, or name another model (--model)"


def half(text: str) -> Reply:
    return Reply(text=text, model="google:m", usage=ModelUsage(), cut_off=CUT_OFF)


@pytest.fixture
def trial(tmp_path: Path) -> Callable[..., Trial]:
    def create(*script: Scripted) -> Trial:
        return Trial(tmp_path, list(script))

    return create


def test_texts_that_were_cut_off_are_kept_and_noted(trial: Callable[..., Trial]) -> None:
    one = trial("whole", half("it begins"), half("so does it"))
    one.run(one.assignment(one.items("a", "b", "c")))
    assert one.result() == ["whole", "it begins", "so does it"]
    assert one.sink.outcome.notes == (f"item 11: {CUT_OFF}", f"item 12: {CUT_OFF}")


def test_many_that_were_cut_off_are_counted(trial: Callable[..., Trial]) -> None:
    one = trial(*[half("it begins")] * 8)
    one.run(one.assignment(one.items(*"abcdefgh")))
    assert one.sink.outcome.notes[5:] == ("3 more items have an answer that was cut off",)


def test_a_single_text_that_was_cut_off_is_noted(trial: Callable[..., Trial]) -> None:
    one = trial(half("it begins"))
    one.run(one.assignment(Whole()))
    assert (one.result(), one.sink.outcome.notes) == ("it begins", (CUT_OFF,))


def test_an_empty_text_is_asked_for_once_more(trial: Callable[..., Trial]) -> None:
    one = trial(" \n", "good")
    one.run(one.assignment(Whole()))
    assert one.result() == "good"
    assert one.door.rejected == [" \n"], "the cache shall not give it again"
    assert one.asked[0] == one.asked[1]


def test_an_item_whose_text_stays_empty_has_no_answer(trial: Callable[..., Trial]) -> None:
    one = trial("", "", "good")
    one.run(one.assignment(one.items("a", "b")))
    assert one.result() == [{"failed": EMPTY}, "good"]
    assert one.sink.outcome.notes == (f"item 10 has no answer: {EMPTY}",)


def test_work_whose_text_stays_empty_fails(trial: Callable[..., Trial]) -> None:
    one = trial("", "")
    one.run(one.assignment(Whole()))
    assert (one.sink.outcome.kind, one.sink.outcome.reason) == ("failed", EMPTY)
