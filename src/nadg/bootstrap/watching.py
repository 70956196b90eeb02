"""Who is shown what happens to runs and workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nadg.bootstrap.review import RunEstimate
from nadg.domain.changes import Change
from nadg.domain.plan import Plan
from nadg.engines.grid import WorkerView


class Watcher(Protocol):
    """Who is shown what happens. Plain calls on the event loop, which must not block."""

    def run_created(self, run_id: str, plan: Plan) -> None: ...

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...

    def estimated(self, estimate: RunEstimate) -> None:
        """What models are likely to take, told once the plan of a run that has begun is whole."""
        ...

    def workers(self, views: Sequence[WorkerView]) -> None: ...

    def notice(self, text: str) -> None: ...
