"""Which subtasks of an unfinished plan may start: each once, after all that it needs, at a bearable cost."""

from __future__ import annotations

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain.checks.code import MAX_TOTAL_CODE_BYTES
from nadg.planning.llm.announce import FitSubtasks
from nadg.planning.prompt_sizes import FlawOfLength
from tests.planning.llm.desk import REVIEWS, SKILLS, python


def fit_subtasks() -> FitSubtasks:
    return FitSubtasks(SKILLS, [REVIEWS], lambda _model: False, lambda _subtask: "")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.randoms(use_true_random=False))
def test_any_order_of_writing_tells_each_once_after_its_needs(count: int, chance: random.Random) -> None:
    needs = {
        f"s{number}": [f"s{other}" for other in range(number) if chance.random() < 0.3] for number in range(count)
    }
    order = list(needs)
    chance.shuffle(order)
    fit, told = fit_subtasks(), []
    for written, subtask_id in enumerate(order):
        told += [one.id for one in fit.add(python(subtask_id, needs[subtask_id]))]
        there = set(order[: written + 1])
        assert set(told) == {one for one in there if reached(one, needs) <= there}
    assert sorted(told) == sorted(needs)
    assert all(told.index(need) < told.index(one) for one in told for need in needs[one])


def reached(subtask_id: str, needs: dict[str, list[str]]) -> set[str]:
    """A subtask and all that it hangs on."""
    return {subtask_id}.union(*(reached(one, needs) for one in needs[subtask_id]))


def always(flaw: str) -> FlawOfLength:
    return lambda _subtask: flaw


def test_a_prompt_that_is_too_long_is_not_told() -> None:
    asked = {"id": "p", "work": {"kind": "prompt", "prompt": "x"}, "inputs": [REVIEWS.name]}
    for flaw, told in (("", 1), ("it is too long", 0)):
        fit = FitSubtasks(SKILLS, [REVIEWS], lambda _model: False, always(flaw))
        assert len(fit.add(asked)) == told


def test_what_hangs_on_an_unfit_one_is_not_told() -> None:
    fit = fit_subtasks()
    assert fit.add(python("b", ["a"])) == []
    assert fit.add(python("a", code="if")) == []
    assert fit.add(python("c", ["b"])) == []
    assert fit.add(python("a")) == []  # the id is taken: the whole plan is not valid


def test_code_beyond_what_a_plan_may_hold_is_not_told() -> None:
    fit = fit_subtasks()
    size = MAX_TOTAL_CODE_BYTES // 8
    told = [bool(fit.add(python(f"s{at}", code=f"#{at}" + "x" * (size - 10)))) for at in range(10)]
    assert told[:8] == [True] * 8
    assert not told[9]


def test_a_thousand_subtasks_take_time_in_proportion() -> None:
    code = "\n".join(f"value_{number} = [{number}] * 3" for number in range(60))

    def seconds(count: int) -> float:
        fit = fit_subtasks()
        began = time.perf_counter()
        for number in range(count):
            needs = [f"s{other}" for other in range(max(0, number - 5), number)]
            assert fit.add(python(f"s{number}", needs, code))
        return time.perf_counter() - began

    seconds(20)
    small = min(seconds(100) for _ in range(3))
    assert min(seconds(1000) for _ in range(2)) < small * 10 * 3
