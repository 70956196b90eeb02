"""Limits by name: only what is named changes, and what cannot be meant is refused in one sentence."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from nadg.domain.limits import Limits
from nadg.domain.named_limits import (
    changed_limits,
    document_with_limits,
    plan_with_limits,
    read_limits,
    split_limits,
)
from nadg.domain.plan import Plan

DEFAULTS = read_limits(split_limits(" memory_megabytes=4096 ,wall_seconds = 600,"))


def test_only_what_is_named_changes() -> None:
    assert changed_limits(Limits(), DEFAULTS) == replace(Limits(), memory_megabytes=4096, wall_seconds=600.0)
    assert changed_limits(Limits(), DEFAULTS, read_limits(["wall_seconds=0.5"])).wall_seconds == 0.5
    assert changed_limits(Limits()) == Limits()


def test_every_limit_can_be_named() -> None:
    texts = [f"{name}={value}" for name, value in asdict(Limits()).items()]
    assert changed_limits(Limits(threads=1), read_limits(texts)) == Limits()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("memory=1", "there is no limit 'memory'; the limits are wall_seconds, cpu_seconds, memory_megabytes, "),
        ("threads", "'threads' is no limit; write NAME=VALUE"),
        ("threads=0", "threads='0' does not fit; give a whole number from 1 to 4,096"),
        ("threads=many", "threads='many' does not fit"),
        ("threads=1.5", "threads='1.5' does not fit"),
        ("threads=", "threads='' does not fit"),
        ("wall_seconds=nan", "wall_seconds='nan' does not fit; give a number of seconds above 0"),
        ("wall_seconds=inf", "wall_seconds='inf' does not fit"),
        ("memory_megabytes=2097152", "give a whole number from 64 to 1,048,576"),
        ("threads=2,threads=3", "threads is given twice"),
        ("x" * 500, "…' is no limit"),
    ],
)
def test_what_cannot_be_meant_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"limit|does not fit|twice") as caught:
        read_limits(split_limits(text))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_plan_keeps_what_it_sets_even_the_usual_value() -> None:
    work = {"kind": "python", "code": "pass"}
    document = {
        "subtasks": [
            {"id": "own", "work": work, "limits": {"memory_megabytes": 2048, "threads": 3}},
            {"id": "none", "work": work},
        ]
    }
    plan = Plan.model_validate(document_with_limits(document, DEFAULTS))
    assert plan.subtask("own").limits == replace(Limits(), memory_megabytes=2048, threads=3, wall_seconds=600)
    assert plan.subtask("none").limits == replace(Limits(), memory_megabytes=4096, wall_seconds=600)
    assert "limits" not in document["subtasks"][1], "the document that was given is not changed"
    assert document_with_limits(document, ()) is document


@pytest.mark.parametrize("document", [None, [], {"subtasks": 5}, {"subtasks": ["x", {"limits": None}]}])
def test_what_is_no_plan_is_left_to_those_who_check_it(document: object) -> None:
    assert document_with_limits(document, DEFAULTS) == document


def test_a_plan_made_from_words_has_the_defaults() -> None:
    plan = Plan.model_validate({"subtasks": [{"id": "a", "work": {"kind": "python", "code": "pass"}}]})
    assert plan_with_limits(plan, DEFAULTS).subtask("a").limits.memory_megabytes == 4096
    assert plan_with_limits(plan, ()) is plan
