"""Ids: unique enough, sortable by time, and derived ones that can be taken apart again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg.domain.ids import SUBTASK_ID, attempt_id, create_run_id, parse_attempt_id

MILLISECONDS = st.integers(0, (1 << 45) - 1)
RANDOM_BITS = st.integers(0, (1 << 35) - 1)
SUBTASK_IDS = st.from_regex(SUBTASK_ID, fullmatch=True)


@pytest.mark.parametrize("text", ["", "run", "run/a", "run/a/1", "run/a/x/1", "run/a/1/2/3", "run/a/1/"])
def test_what_is_no_attempt_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        parse_attempt_id(text)


@given(MILLISECONDS, RANDOM_BITS)
def test_a_run_id_has_sixteen_plain_characters(milliseconds: int, bits: int) -> None:
    run_id = create_run_id(milliseconds, bits)
    assert len(run_id) == 16
    assert set(run_id) <= set("0123456789abcdefghjkmnpqrstvwxyz")


@given(MILLISECONDS, MILLISECONDS, RANDOM_BITS, RANDOM_BITS)
def test_run_ids_sort_by_time_and_differ_by_time_or_bits(one: int, other: int, bits: int, more: int) -> None:
    first, second = create_run_id(one, bits), create_run_id(other, more)
    if one != other:
        assert (first < second) == (one < other)
    assert (first == second) == (one == other and bits == more)


def test_random_bits_beyond_their_room_do_not_change_the_time() -> None:
    assert create_run_id(5, 1 << 35) == create_run_id(5, 0)


@given(MILLISECONDS, SUBTASK_IDS, st.integers(0, 10**7), st.integers(1, 20))
def test_an_attempt_id_is_taken_apart_to_what_it_was_made_of(
    milliseconds: int, subtask_id: str, index: int, number: int
) -> None:
    run_id = create_run_id(milliseconds, 1)
    assert parse_attempt_id(attempt_id(run_id, subtask_id, index, number)) == (run_id, subtask_id, index, number)
