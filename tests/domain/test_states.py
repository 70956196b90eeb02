"""The transition tables: complete, closed, and without a way out of an end."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import pytest

from nadg.domain.errors import IllegalTransition
from nadg.domain.states import (
    ATTEMPT_MOVES,
    RUN_MOVES,
    SHARD_MOVES,
    SUBTASK_MOVES,
    AttemptState,
    RunState,
    ShardState,
    SubtaskState,
    is_final,
    require_move,
)

TABLES: list[tuple[type[enum.StrEnum], Mapping[enum.StrEnum, frozenset[enum.StrEnum]], enum.StrEnum]] = [
    (RunState, RUN_MOVES, RunState.PLANNED),  # type: ignore[list-item]  # a Mapping is invariant in its key
    (SubtaskState, SUBTASK_MOVES, SubtaskState.WAITING),  # type: ignore[list-item]  # as above
    (ShardState, SHARD_MOVES, ShardState.QUEUED),  # type: ignore[list-item]  # as above
    (AttemptState, ATTEMPT_MOVES, AttemptState.QUEUED),  # type: ignore[list-item]  # as above
]


def test_an_illegal_move_names_the_thing_and_both_states() -> None:
    with pytest.raises(IllegalTransition, match="run r1: succeeded -> running"):
        require_move(RUN_MOVES, RunState.SUCCEEDED, RunState.RUNNING, "run r1")


@pytest.mark.parametrize("state", list(RunState))
def test_no_state_moves_to_itself(state: RunState) -> None:
    with pytest.raises(IllegalTransition):
        require_move(RUN_MOVES, state, state, "run")


@pytest.mark.parametrize(("states", "moves", "start"), TABLES)
def test_a_table_lists_every_state_and_reaches_it_from_the_start(
    states: type[enum.StrEnum],
    moves: Mapping[enum.StrEnum, frozenset[enum.StrEnum]],
    start: enum.StrEnum,
) -> None:
    assert set(moves) == set(states)
    reached, edge = {start}, [start]
    while edge:
        for state in moves[edge.pop()] - reached:
            reached.add(state)
            edge.append(state)
    assert reached == set(states)


@pytest.mark.parametrize(("states", "moves", "start"), TABLES)
def test_every_state_can_come_to_an_end(
    states: type[enum.StrEnum],
    moves: Mapping[enum.StrEnum, frozenset[enum.StrEnum]],
    start: enum.StrEnum,
) -> None:
    ends = {state for state in states if not moves[state]}
    for _ in states:
        ends |= {state for state in states if moves[state] & ends}
    assert ends == set(states)


def test_a_legal_move_gives_the_new_state() -> None:
    assert require_move(SHARD_MOVES, ShardState.RUNNING, ShardState.QUEUED, "shard") is ShardState.QUEUED


@pytest.mark.parametrize(
    ("state", "final"),
    [
        (RunState.RUNNING, False),
        (RunState.CANCELLED, True),
        (SubtaskState.CLOSING, False),
        (SubtaskState.SKIPPED, True),
        (ShardState.QUEUED, False),
        (ShardState.FAILED, True),
        (AttemptState.RUNNING, False),
        (AttemptState.LOST, True),
    ],
)
def test_final_states(state: RunState | SubtaskState | ShardState | AttemptState, final: bool) -> None:
    assert is_final(state) is final
