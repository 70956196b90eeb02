"""What a model wrote becomes a plan document, whatever liberties of format it took."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain.errors import PlanInvalid
from nadg.planning.llm.document import as_written_by_hand, plan_document, subtask_document


def work_of(**work: object) -> Any:
    document = subtask_document(json.dumps({"id": "a", "work": work}))
    assert isinstance(document, dict)
    return document["work"]


@pytest.mark.parametrize(
    "args",
    [
        {"column": "text", "count": None},
        '{"column": "text"}',
        [{"name": "column", "value": "text"}],
        [{"name": "column", "value": "text"}, {"name": "count", "value": None}],
    ],
)
def test_arguments_come_in_three_ways(args: object) -> None:
    assert work_of(kind="skill", skill="s", args=args)["args"] == {"column": "text"}


@pytest.mark.parametrize("args", ["text", 7, ["text"], [{"name": "a"}]])
def test_other_arguments_are_left_for_the_check_to_name(args: object) -> None:
    assert work_of(kind="skill", skill="s", args=args)["args"] == args


def test_fields_of_an_answer_become_a_schema() -> None:
    fields = [
        {"name": "mood", "type": "text", "choices": ["good", "bad"], "description": "how it feels"},
        {"name": "count", "type": "integer", "choices": None},
        {"name": "tags", "type": "texts", "choices": ["x"]},
    ]
    work = work_of(kind="prompt", prompt="p", output_fields=fields)
    assert "output_fields" not in work
    assert work["output_schema"] == {
        "type": "object",
        "properties": {
            "mood": {"type": "string", "enum": ["good", "bad"], "description": "how it feels"},
            "count": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["x"]}},
        },
        "required": ["mood", "count", "tags"],
        "additionalProperties": False,
    }


def test_no_fields_mean_plain_text_and_odd_ones_are_left_for_the_check() -> None:
    assert work_of(kind="prompt", prompt="p", output_fields=[]) == {"kind": "prompt", "prompt": "p"}
    assert "output_fields" in work_of(kind="prompt", prompt="p", output_fields=[{"name": "a", "type": "rune"}])
    assert work_of(kind="prompt", prompt="p", output_schema='{"type": "object"}')["output_schema"] == {
        "type": "object"
    }


def test_nulls_of_strict_servers_are_fields_left_out() -> None:
    raw = {
        "id": "a",
        "title": None,
        "foreach": {"rows_of": None},
        "limits": {"wall_seconds": None},
        "work": {"kind": "python", "code": "x", "skill": None},
    }
    assert as_written_by_hand({"subtasks": [raw], "answer": "", "goal": None}) == {
        "subtasks": [{"id": "a", "limits": {}, "work": {"kind": "python", "code": "x"}}]
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the answer is empty"),
        (" \n", "the answer is empty"),
        ("I would first clean the table.", "holds no JSON object"),
        ('{"subtasks": [{"id": "a"', "no JSON at line 1, column"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "too many digits"),
        ('{"a": ' + "[" * 200_000, "nested too deeply"),
    ],
)
def test_what_holds_no_plan_is_told_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(PlanInvalid, match=said) as caught:
        plan_document(text)
    assert [one.place for one in caught.value.problems] == ["plan"]


@pytest.mark.parametrize("raw", ["", "{", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 200_000])
def test_a_streamed_subtask_that_is_no_json_is_none(raw: str) -> None:
    assert subtask_document(raw) is None


FIELDS = st.sampled_from(
    [
        "subtasks",
        "work",
        "args",
        "output_fields",
        "output_schema",
        "foreach",
        "limits",
        "name",
        "value",
        "type",
        "x",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["text", "texts", "[{}]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_no_json_at_all_breaks_it(document: object) -> None:
    as_written_by_hand({"subtasks": [{"work": document, "foreach": document}, document], "answer": document})
    as_written_by_hand(document)
