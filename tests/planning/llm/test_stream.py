"""Subtasks are handed out the moment they are whole, however the text is cut into pieces."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.planning.llm.document import plan_document
from nadg.planning.llm.stream import SubtaskReader

LEAVES = st.none() | st.booleans() | st.integers() | st.text('ab"\\{}[],:\n é\U0001f600', max_size=12)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["subtasks", "a", '"']), inner),
    max_leaves=12,
)
KEYS = st.sampled_from(["goal", "answer", "a{", 'b"', "sub\\tasks"])
ROOTS = st.tuples(st.dictionaries(KEYS, VALUES, max_size=2), st.lists(VALUES, max_size=5), st.booleans()).map(
    lambda parts: {**parts[0], "subtasks": parts[1]} if parts[2] else {"subtasks": parts[1], **parts[0]}
)
PROSE = st.sampled_from(
    ["", "```json\n", "Here is the plan {as JSON}:\n", "{ {", "\ufeff \n", 'A "quoted" word. ']
)


def pieces_of(text: str, cuts: Sequence[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:stop] for start, stop in itertools.pairwise(places)]


def read(pieces: Sequence[str]) -> list[Any]:
    reader = SubtaskReader()
    return [json.loads(raw) for piece in pieces for raw in reader.feed(piece)]


@settings(max_examples=100, deadline=None)
@given(ROOTS, st.lists(st.integers(0, 10_000), max_size=12), PROSE, st.booleans(), st.sampled_from([None, 2]))
def test_any_cutting_gives_the_subtasks_of_the_whole(
    root: dict[str, Any], cuts: list[int], prose: str, ascii_only: bool, indent: int | None
) -> None:
    whole = json.dumps(root, ensure_ascii=ascii_only, indent=indent)
    expected = [one for one in json.loads(whole)["subtasks"] if isinstance(one, dict)]
    text = prose + whole + '\n```\nThat was {"subtasks": [{}]} all.'
    assert read(pieces_of(text, cuts)) == expected
    assert read(list(text)) == expected


@settings(max_examples=100, deadline=None)
@given(ROOTS, PROSE)
def test_the_stream_and_the_whole_begin_at_the_same_brace(root: dict[str, Any], prose: str) -> None:
    found = plan_document(prose + json.dumps(root))
    assert isinstance(found, dict)
    kept = {key for key, value in root.items() if value is not None and (key, value) != ("answer", "")}
    assert set(found) == kept


@settings(max_examples=100, deadline=None)
@given(st.text('{}[]",:\\ ab', max_size=60), st.lists(st.integers(0, 100), max_size=5))
def test_what_is_no_json_gives_no_error_and_hangs_on_no_cut(text: str, cuts: list[int]) -> None:
    text = '{"subtasks": [' + text
    one, many = SubtaskReader(), SubtaskReader()
    assert one.feed(text) == [raw for piece in pieces_of(text, cuts) for raw in many.feed(piece)]


def test_a_subtask_comes_with_its_closing_brace_and_not_before() -> None:
    reader = SubtaskReader()
    assert reader.feed('{"subtasks": [{"id": "a", "work": {"code": "}"}') == []
    assert reader.feed("}") == ['{"id": "a", "work": {"code": "}"}}']
    assert reader.feed(', {"id": "b"') == []
    assert reader.feed("}]}") == ['{"id": "b"}']
    assert reader.feed('{"subtasks": [{"id": "c"}]}') == []


@pytest.mark.parametrize(
    "text",
    [
        '{"other": {"subtasks": [{"id": "a"}]}}',
        '{"goal": "subtasks", "x": [{"id": "a"}]}',
        '{"subtasks": {"x": [{"id": "a"}]}}',
        '{"subtasks": [[{"id": "a"}]]}',
        '["subtasks", [{"id": "a"}]]',
        "no plan at all",
    ],
)
def test_only_the_list_of_the_plan_counts(text: str) -> None:
    assert read([text]) == []


def test_a_second_list_of_subtasks_is_not_read() -> None:
    assert read(['{"subtasks": [{"id": "a"}], "subtasks": [{"id": "b"}]}']) == [{"id": "a"}]


def test_a_key_written_with_escapes_is_the_same_key() -> None:
    assert read(['{"sub\\u0074asks": [{"id": "a"}]}']) == [{"id": "a"}]


def test_after_a_restart_nothing_of_the_former_text_is_left() -> None:
    for at in range(len(text := '{"subtasks": [{"id": "a\\"'), 0, -1):
        reader = SubtaskReader()
        reader.feed(text[:at])
        reader.restart()
        assert reader.feed('{"subtasks": [{"id": "b"}]}') == ['{"id": "b"}']


def test_long_texts_take_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        text = json.dumps({"subtasks": [{"id": "a", "code": "x = '{\"' \n" * 40}] * count})
        reader = SubtaskReader()
        began = time.perf_counter()
        found = sum(len(reader.feed(text[at : at + 13])) for at in range(0, len(text), 13))
        assert found == count
        return time.perf_counter() - began

    seconds(20)
    small = min(seconds(100) for _ in range(3))
    assert min(seconds(1600) for _ in range(2)) < small * 16 * 4
