"""Names of runs, subtasks, shards and attempts.

A run id sorts by creation time. Shard and attempt ids are derived, so that the same decision always
gives the same id: `RUN/SUBTASK/INDEX` and `RUN/SUBTASK/INDEX/NUMBER`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SUBTASK_ID = re.compile(r"[a-z][a-z0-9_-]{0,62}")
RUN_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{16}")
RUN_ID_START = re.compile(r"\s*[0-9A-Za-z_-]{1,64}\s*", re.ASCII)
"""What may be the beginning of a run's id, as people write it; anything else is none, and no database is asked."""
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class AttemptKey(NamedTuple):
    """The parts of an attempt id."""

    run_id: str
    subtask_id: str
    shard_index: int
    number: int


def create_run_id(unix_milliseconds: int, random_bits: int) -> str:
    """A 16-character id in Crockford base 32: 45 bits of time, then 35 random bits given by the caller."""
    number = (unix_milliseconds << 35) | (random_bits & (1 << 35) - 1)
    digits = [_ALPHABET[(number >> (5 * place)) & 31] for place in range(15, -1, -1)]
    return "".join(digits)


def attempt_id(run_id: str, subtask_id: str, shard_index: int, number: int) -> str:
    """The id of try `number` (from 1) of a shard."""
    return f"{run_id}/{subtask_id}/{shard_index}/{number}"


def parse_attempt_id(text: str) -> AttemptKey:
    """Split an attempt id. Raises ValueError where the text is not one."""
    run_id, subtask_id, index, number = text.split("/")
    return AttemptKey(run_id, subtask_id, int(index), int(number))


def run_of(attempt_id: str) -> str:
    """The run that an attempt belongs to."""
    return attempt_id.partition("/")[0]
