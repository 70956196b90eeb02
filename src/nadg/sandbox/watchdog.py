"""Looks at running attempts now and then for what no kernel limit covers: resident memory, threads, silence.

Attempts that end within one interval are never looked at, so it costs the short ones nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from nadg.sandbox.attempt import RunningAttempt, Verdict

INTERVAL_SECONDS: Final = 0.25
SILENCE_SECONDS: Final = 20


class Watched(NamedTuple):
    """A running attempt, what its zygote had resident, and how to end that zygote."""

    attempt: RunningAttempt
    inherited_bytes: int
    end_zygote: Callable[[str], None]


class Watchdog:
    """Ticks while there are attempts."""

    def __init__(self, watched: Callable[[], Iterable[Watched]]) -> None:
        self._watched = watched
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """An attempt began."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for one in list(self._watched()):
            self.wake()
            if one.attempt.pid:
                _check_use(one)
            silent_since = one.attempt.kill_since if one.attempt.has_started else one.attempt.since
            if silent_since is not None and now - silent_since > SILENCE_SECONDS:
                one.end_zygote(f"it did not answer for {SILENCE_SECONDS} s")


def _check_use(one: Watched) -> None:
    """End an attempt that holds too much memory or too many threads."""
    limits = one.attempt.limits
    use = _read_use(one.attempt.pid)
    if use is None:
        return
    if use.resident_bytes > one.inherited_bytes + (limits.memory_megabytes << 20):
        one.attempt.end(Verdict("limit", f"memory limit of {limits.memory_megabytes} MiB reached"))
    elif use.threads > limits.threads:
        one.attempt.end(Verdict("limit", f"thread limit of {limits.threads} reached"))


class _Use(NamedTuple):
    resident_bytes: int
    threads: int


def _read_use(pid: int) -> _Use | None:
    """What a process holds, from /proc; None where that is hidden, absent or the process gone."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        kibibytes = sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem"))
        return _Use(kibibytes << 10, int(fields["Threads"]))
    return None
