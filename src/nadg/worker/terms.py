"""The terms of runs as this worker heard them: a master whose term is older is master no more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Set

KEPT_RUNS = 10_000


class Terms:
    """The highest term of each run. A term is one master's alone, so an equal one is the same master's."""

    def __init__(self, held_runs: Callable[[], Set[str]], kept: int = KEPT_RUNS) -> None:
        """`held_runs`: those with attempts here, which are never forgotten."""
        self._held_runs = held_runs
        self._kept = kept
        self._terms: OrderedDict[str, int] = OrderedDict()

    def accept(self, run_id: str, term: int) -> bool:
        """Hear a term of a run; False, and nothing changes, where a newer one is known."""
        if term < self._terms.get(run_id, term):
            return False
        self._terms[run_id] = term
        self._terms.move_to_end(run_id)
        if len(self._terms) > self._kept:
            self._forget()
        return True

    def __len__(self) -> int:
        return len(self._terms)

    def _forget(self) -> None:
        """The longest unheard half, so that this is seldom; what is held stays."""
        held = self._held_runs()
        old = [run_id for run_id in self._terms if run_id not in held]
        for run_id in old[: len(self._terms) - self._kept // 2]:
            del self._terms[run_id]
