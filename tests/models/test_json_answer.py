"""JSON as models write it: what is taken, and what is refused before anything rests on it."""

from __future__ import annotations

from typing import Any

import pytest

from nadg.models.json_answer import parse_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        (" ```\n[1.5]```\n", [1.5]),
        ("null", None),
        (str(2**70), 2**70),
    ],
)
def test_an_answer_with_or_without_a_fence(text: str, value: Any) -> None:
    assert parse_json(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("It is 1.", "Expecting value"),
        ('{"score": NaN}', "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("9" * 401, "too many digits"),
        ("[" * 100_000, "cannot be kept"),
        ('"\\ud800"', "cannot be kept"),
    ],
)
def test_what_is_no_value_that_can_be_kept(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_json(text)
