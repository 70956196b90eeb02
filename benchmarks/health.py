"""Asks a worker for GET /health again and again, from a process of its own, so that only the worker is timed."""

from __future__ import annotations

import http.client
import json
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

EVERY_SECONDS = 0.02
PATIENCE_SECONDS = 30.0


class HealthPoller:
    """A context manager: it asks from entry, which waits for the first answer, to exit.

    Then `latencies` and `failures` are known.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.latencies: list[float] = []
        """Seconds. A slow answer counts for the questions that it held up, too."""
        self.failures = 0
        """Questions without a healthy answer."""

    def __enter__(self) -> Self:
        command = [sys.executable, __file__, self._url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # its connection is open from now on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        written, _ = self._process.communicate()
        found = json.loads(written)
        self.failures = found["failures"]
        self.latencies = with_held_up(found["latencies"])

    @property
    def process_id(self) -> int:
        return self._process.pid


def with_held_up(latencies: list[float]) -> list[float]:
    """The latencies, and those of the questions that could not be asked while an answer was late."""
    found: list[float] = []
    for latency in latencies:
        while latency > EVERY_SECONDS:
            found.append(latency)
            latency -= EVERY_SECONDS
        found.append(latency)
    return found


def main() -> None:
    """Ask until stdin ends; print a line at the first answer, and what was seen at the end."""
    address = urlsplit(sys.argv[1])
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE_SECONDS)
    latencies: list[float] = []
    failures = 0
    due = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        asked = time.monotonic()
        try:
            connection.request("GET", "/health")
            failures += b'"healthy"' not in connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            failures += 1
            connection.close()
        answered = time.monotonic()
        if not latencies:
            print("asking", flush=True)
        latencies.append(answered - asked)
        due = max(due + EVERY_SECONDS, answered)
    print(json.dumps({"latencies": latencies, "failures": failures}))


if __name__ == "__main__":
    main()
