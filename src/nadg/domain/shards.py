"""How much travels together where a plan leaves it open."""

from __future__ import annotations

import math

TARGET_SHARDS = 1000
"""Automatic shard sizes make about this many shards at most, however many items there are."""
MIN_AUTO_ROWS = 500
"""Fewer rows than this are seldom worth a process of their own."""


def automatic_shard_size(count: int, smallest: int = 1) -> int:
    """Items or rows per shard where the plan says `auto`."""
    return max(smallest, math.ceil(count / TARGET_SHARDS))
