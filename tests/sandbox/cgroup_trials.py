"""What trials of cgroups need: an attempt that is met while it runs, a process to move about."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

from nadg.domain.limits import Limits
from nadg.sandbox import Ending, Request

SMALL = Limits(wall_seconds=20, cpu_seconds=15, memory_megabytes=256, threads=9)
WAITS = "import time\nprint('here', flush=True)\ntime.sleep(60)"


def run_until_it_speaks(box: Any, then: Callable[[int, Any], None], source: str = WAITS) -> Ending:
    """One attempt; once it has written something, `then` gets its process's number and its lane's group."""

    def on_output(_stream: str, _text: str) -> None:
        (attempt,) = box.sandbox._running
        box.sandbox._groups.mover.submit(int).result()  # whatever was to be moved is
        then(attempt.process.pid, attempt.process.lane.group)

    ending: Ending = box.runner.run(
        box.sandbox.run(Request(attempt_id="a", source=source, limits=SMALL), on_output)
    )
    return ending


@contextlib.contextmanager
def living_process() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()
