"""A watcher that shows nothing: for scripts and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

from nadg.bootstrap.review import RunEstimate
from nadg.domain.changes import Change
from nadg.domain.plan import Plan
from nadg.engines.grid import WorkerView


class QuietWatcher:
    """Takes everything, says nothing."""

    def run_created(self, run_id: str, plan: Plan) -> None: ...

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...

    def estimated(self, estimate: RunEstimate) -> None: ...

    def workers(self, views: Sequence[WorkerView]) -> None: ...

    def notice(self, text: str) -> None: ...
