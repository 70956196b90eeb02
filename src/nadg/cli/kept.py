"""What a resumed or forked run begins with, told in one line: nothing of it happens while one watches."""

from __future__ import annotations

import datetime
import time

from nadg.cli.render.safe import one_line
from nadg.cli.render.units import counted
from nadg.cli.watch import ScreenWatcher
from nadg.domain.changes import AttemptChanged, Change, RunChanged, SubtaskChanged
from nadg.domain.states import SubtaskState

SHOWN = 8
"""So many subtasks that are still to be done are named."""


class KeptWatcher(ScreenWatcher):
    """Takes what comes before the run begins as kept of its parent, which is named by `keeps_of`."""

    _parent = ""
    _kept: tuple[str, ...] = ()
    _shards = 0

    def keeps_of(self, parent: str) -> None:
        """The run keeps what this one did."""
        self._parent = parent

    def changed(self, run_id: str, change: Change, at: datetime.datetime | None = None) -> None:
        if not self._parent or self._progress is None or run_id != self.run_id:
            super().changed(run_id, change, at)
        elif isinstance(change, RunChanged):
            to_do = [one for one in self._progress.subtasks if one not in self._kept]
            self.notice(kept_line(self._parent, len(self._kept), self._shards, to_do))
            self._parent = ""
            super().changed(run_id, change, at)
        else:
            self._progress.apply(change, time.monotonic())
            self._shards += isinstance(change, AttemptChanged)
            if isinstance(change, SubtaskChanged) and change.state is SubtaskState.SUCCEEDED:
                self._kept += (change.subtask_id,)


def kept_line(parent: str, kept: int, shards: int, to_do: list[str]) -> str:
    """`Kept 3 of 5 subtasks and 812 shards of run ID; to do: total, report`."""
    names = ", ".join(to_do[:SHOWN]) + (f" and {len(to_do) - SHOWN:,} more" if len(to_do) > SHOWN else "")
    rest = f"; to do: {one_line(names, 300)}" if to_do else "; nothing is left to do"
    if not shards:
        return f"Nothing of run {parent} is kept{rest}"
    total = counted(kept + len(to_do), "subtask")
    return f"Kept {kept:,} of {total} and {counted(shards, 'shard')} of run {parent}{rest}"
