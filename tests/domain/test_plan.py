"""The plan's own models: one source for a foreach, defaults left out when written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nadg.domain.limits import Limits
from nadg.domain.plan import Foreach, Plan, PythonWork, Subtask

CODE = PythonWork(kind="python", code="result = 1")


@pytest.mark.parametrize("given", [{}, {"items": [1], "files": "*"}, {"rows_of": "a.csv", "results_of": "b"}])
def test_a_foreach_has_exactly_one_source(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="give exactly one of"):
        Foreach.model_validate(given)


@pytest.mark.parametrize("name", ["", "A", "1a", "a b", "a" * 64, "a\n", "ä"])
def test_an_id_is_short_and_plain(name: str) -> None:
    with pytest.raises(ValidationError):
        Subtask(id=name, work=CODE)


def test_an_unknown_subtask_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Plan(subtasks=(Subtask(id="a", work=CODE),)).subtask("b")


def test_an_empty_list_of_items_is_a_source() -> None:
    assert Foreach(items=[]).items == []


def test_the_last_subtask_answers_by_default() -> None:
    subtasks = (Subtask(id="a", work=CODE), Subtask(id="b", work=CODE, title="Bee"))
    assert Plan(subtasks=subtasks).answer_id == "b"
    assert Plan(subtasks=subtasks, answer="a").answer_id == "a"
    assert [one.name for one in subtasks] == ["a", "Bee"]


def test_a_document_leaves_defaults_out() -> None:
    subtask = Subtask(id="a", work=CODE, limits=Limits(wall_seconds=5), foreach=Foreach(items=[1, None]))
    assert Plan(subtasks=(subtask,)).document() == {
        "subtasks": [
            {
                "id": "a",
                "work": {"kind": "python", "code": "result = 1"},
                "foreach": {"items": [1, None]},
                "limits": {"wall_seconds": 5.0},
            }
        ]
    }
