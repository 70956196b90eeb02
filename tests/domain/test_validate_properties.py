"""Any document parses or is refused with places that lead somewhere; circles are always found."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain.checks.places import Suggestions, place_of
from nadg.domain.errors import PlanInvalid
from nadg.domain.plan import Plan
from nadg.domain.problems import Problem
from nadg.domain.validate import parse_plan

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.text(max_size=4) | st.sampled_from(
    ["goal", "subtasks", "answer", "id", "work", "kind", "code", "needs", "inputs", "foreach", "items", "limits"]
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
IDS = st.sampled_from(["a", "b", "c", "A", "", "a b"])
WORKS = st.sampled_from(
    [
        {"kind": "python", "code": "result = 1"},
        {"kind": "python", "code": "x ="},
        {"kind": "skill", "skill": "no.such"},
        {"kind": "prompt", "prompt": "x"},
    ]
)
FOREACHES = st.fixed_dictionaries(
    {}, optional={"items": JSON, "rows_of": IDS, "files": IDS, "results_of": IDS, "shard_size": JSON}
)
SUBTASKS = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS | JSON,
        "work": WORKS | JSON,
        "needs": st.lists(IDS, max_size=3) | JSON,
        "inputs": st.lists(IDS, max_size=3) | JSON,
        "foreach": FOREACHES | JSON,
        "limits": JSON,
        "max_attempts": JSON,
    },
)
PLANS = st.fixed_dictionaries(
    {"subtasks": st.lists(SUBTASKS | JSON, max_size=4)},
    optional={"goal": JSON, "answer": IDS | JSON, "extra": JSON},
)
_STEP = re.compile(r"\[(\d+)\]|\[(\"(?:[^\"\\]|\\.)*\")\]|\.?([A-Za-z_][A-Za-z0-9_-]*)")


def resolved(document: Any, place: str) -> object:
    """What stands at a place. Raises LookupError or TypeError where it leads nowhere."""
    position = 0
    while position < len(place):
        step = _STEP.match(place, position)
        assert step is not None, place
        index, quoted, name = step.groups()
        document = document[int(index) if index else json.loads(quoted) if quoted else name]
        position = step.end()
    return document


def outcome(document: object) -> Plan | tuple[Problem, ...]:
    try:
        return parse_plan(document, skills={}, inputs=())
    except PlanInvalid as error:
        return error.problems


@given(PLANS | JSON)
@settings(max_examples=300)
def test_any_document_is_a_plan_or_has_problems_at_places_that_exist(document: Any) -> None:
    found = outcome(document)
    if isinstance(found, Plan):
        assert outcome(found.document()) == found
        return
    assert found
    for problem in found:
        assert problem.message
        assert "\n" not in problem.message
        problem.message.encode()
        if problem.place != "plan":
            resolved(document, problem.place)


@given(PLANS | JSON)
def test_the_same_document_always_gets_the_same_answer(document: object) -> None:
    assert outcome(document) == outcome(document)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, set[str]]:
    """An acyclic graph: every node needs only earlier ones; then the nodes are shuffled."""
    size = draw(st.integers(1, 14))
    needs = {
        f"s{number}": {f"s{one}" for one in draw(st.sets(st.integers(0, max(0, number - 1)), max_size=3))}
        for number in range(size)
    }
    needs["s0"] = set()
    return {name: needs[name] for name in draw(st.permutations(sorted(needs)))}


def planned(needs: dict[str, set[str]]) -> dict[str, Any]:
    work = {"kind": "python", "code": "result = 1"}
    return {"subtasks": [{"id": name, "work": work, "needs": sorted(some)} for name, some in needs.items()]}


@given(graphs())
def test_every_acyclic_graph_is_a_plan(needs: dict[str, set[str]]) -> None:
    plan = outcome(planned(needs))
    assert isinstance(plan, Plan)
    assert {one.id: set(one.needs) for one in plan.subtasks} == needs


@given(graphs(), st.lists(st.integers(0, 13), min_size=2, max_size=6, unique=True))
def test_every_circle_is_named_and_is_one(needs: dict[str, set[str]], chosen: list[int]) -> None:
    names = sorted({f"s{number % len(needs)}" for number in chosen})
    if len(names) < 2:
        return
    for name, following in zip(names, names[1:] + names[:1], strict=True):
        needs[name] = needs[name] | {following}
    problems = outcome(planned(needs))
    assert not isinstance(problems, Plan)
    (sentence,) = [one.message for one in problems]
    circle = re.findall(r"s\d+", sentence)
    assert circle[0] == circle[-1]
    assert len(set(circle)) == len(circle) - 1 >= 2
    for name, following in itertools.pairwise(circle):
        assert following in needs[name]


@given(st.lists(st.integers(0, 99) | st.text(max_size=6), max_size=6))
def test_a_place_can_be_read_back(path: list[int | str]) -> None:
    document: Any = "here"
    for part in reversed(path):
        document = {part: document} if isinstance(part, str) else [None] * part + [document]
    assert resolved(document, place_of(tuple(path)) if path else "") == "here"


def test_suggestions_stop_when_their_budget_is_spent() -> None:
    suggest = Suggestions(budget=5)
    assert suggest.nearest("thro", ["throw", "catch"]) == ["throw"]
    assert suggest.nearest("thro", ["throw", "catch"]) == ["throw"]
    assert suggest.nearest("thro", ["throw", "catch"]) == []
    assert suggest.hint("thro", ["throw"]) == "; known: throw"


@pytest.mark.parametrize("wrong", ["Throw", "THROW", "trow"])
def test_case_does_not_matter_to_suggestions(wrong: str) -> None:
    assert Suggestions().nearest(wrong, ["catch", "throw"]) == ["throw"]
