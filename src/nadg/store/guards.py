"""The states a move may start from, as parameters of its statement: the database refuses any other."""

from __future__ import annotations

import functools

from sqlalchemy import BindParameter, Text, bindparam

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
)

Row = dict[str, object]
"""The parameters of one execution of a statement."""

AnyState = RunState | SubtaskState | ShardState | AttemptState


def allowed_states(kind: type[AnyState]) -> list[BindParameter[str]]:
    """What a guarded statement compares the present state with."""
    return [bindparam(f"from_{place}", type_=Text) for place in range(_width(kind))]


@functools.lru_cache(maxsize=None, typed=True)  # typed, for states of two kinds with one name are equal
def states_before(new: AnyState) -> Row:
    """The states that may come before `new`, repeated to fill the row. Raises IllegalTransition on the first."""
    before = _before(new)
    if not before:
        raise IllegalTransition(f"nothing becomes {new}: it is how things begin")
    return {f"from_{place}": before[min(place, len(before) - 1)] for place in range(_width(type(new)))}


def _before(new: AnyState) -> list[str]:
    match new:
        case RunState():
            return [str(old) for old, following in RUN_MOVES.items() if new in following]
        case SubtaskState():
            return [str(old) for old, following in SUBTASK_MOVES.items() if new in following]
        case ShardState():
            return [str(old) for old, following in SHARD_MOVES.items() if new in following]
        case AttemptState():
            return [str(old) for old, following in ATTEMPT_MOVES.items() if new in following]


def _width(kind: type[AnyState]) -> int:
    """From so many states at most can one state of this kind be reached."""
    return max(len(_before(state)) for state in kind)
