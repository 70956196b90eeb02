"""A master for a test to kill: starts one local worker, submits what it is told, and says what it hears.

`python -m tests.engines.master_script TOLD`, as JSON.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from nadg.domain.assignment import Assignment
from nadg.domain.clock import SystemClock
from nadg.domain.events import AttemptEvent
from nadg.engines.grid import GridEngine
from nadg.engines.local import Launch, LocalWorkers
from nadg.link.blobfolder import BlobFolder


class Told(msgspec.Struct, kw_only=True):
    """All that it needs to know."""

    folder: str
    worker: bytes
    """The settings line of its worker."""
    token: str
    log: str
    assignments: list[Assignment]


class _Teller:
    """Stores nothing, so it acknowledges nothing."""

    def event(self, event: AttemptEvent) -> None:
        print(type(event).__name__, event.attempt_id, flush=True)

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        pass


async def main(told: Told) -> None:
    """Until it is killed."""
    argv = (sys.executable, "-m", "nadg.worker")
    launch = Launch(argv=argv, settings=told.worker, token=told.token, log=Path(told.log))
    async with (
        GridEngine(BlobFolder(Path(told.folder)), SystemClock()) as engine,
        LocalWorkers(engine, [launch]) as workers,
    ):
        await engine.wait_ready(1, 30)
        print(engine.workers()[0].url, workers.process_ids[0], flush=True)
        for assignment in told.assignments:
            await engine.submit(assignment, _Teller())
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Told)))
