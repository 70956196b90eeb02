"""How long an attempt may take before it counts as slow: learnt from those like it that succeeded. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

MIN_SAMPLES = 3
MIN_SHARE = 0.05
"""Of the shards of a subtask: the first that end are its shortest, and say little of the rest."""
MIN_BOUND_SECONDS = 1.0
"""What takes less is not worth a second attempt, nor the look for it."""
BOUND_FACTOR = 2.0
BOUND_PERCENTILE = 0.75
"""Twice what three quarters stay below: a worker that is 10 times slower stands out, a larger shard does not."""
KEPT_SAMPLES = 1000
"""The newest ones: a bound of 100,000 shards shall not cost more than one of a thousand."""


class Durations:
    """How long the attempts of one subtask took that succeeded, in seconds.

    By the master's monotonic clock; those that another master saw, by the clock of the worker that ran them.
    """

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=KEPT_SAMPLES)
        self._count = 0

    def add(self, seconds: float) -> None:
        """One more attempt has succeeded."""
        self._newest.append(seconds)
        self._count += 1

    def bound(self, shards: int) -> float | None:
        """From how many seconds on an attempt is slow; None while too few of so many shards have ended."""
        if self._count < max(MIN_SAMPLES, MIN_SHARE * shards):
            return None
        ordered = sorted(self._newest)
        return max(MIN_BOUND_SECONDS, BOUND_FACTOR * ordered[int(BOUND_PERCENTILE * (len(ordered) - 1))])


def slow_attempts(running: Iterable[tuple[str, float, float | None]]) -> list[str]:
    """Those that run longer than their bound, the slowest of them first.

    Each is given as its id, for how many seconds it has run, and its bound. Who is how slow is measured in
    bounds, so that a short shard that hangs comes before a long one that is merely late.
    """
    slow = [(seconds / bound, name) for name, seconds, bound in running if bound is not None and seconds > bound]
    return [name for _, name in sorted(slow, key=lambda one: (-one[0], one[1]))]
