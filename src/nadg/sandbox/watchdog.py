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
from nadg.sandbox.process import TaskProcess

INTERVAL_SECONDS: Final = 0.25
SILENCE_SECONDS: Final = 20


class Watched(NamedTuple):
    """A running attempt, and how to end its zygote."""

    attempt: RunningAttempt
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
            if one.attempt.process.has_started:
                _check_use(one.attempt)
                _note_death(one.attempt, now)
            if now - _silent_since(one.attempt, now) > SILENCE_SECONDS:
                one.end_zygote(f"it did not answer for {SILENCE_SECONDS} s")


def _note_death(attempt: RunningAttempt, now: float) -> None:
    """From the death of its process on, however it came, the zygote owes word of its end."""
    if attempt.kill_since is None and attempt.process.is_dead:
        attempt.kill_since = now


def _silent_since(attempt: RunningAttempt, now: float) -> float:
    """Since when the zygote owes word of this attempt: that it began, or that it ended."""
    if not attempt.process.has_started:
        return attempt.since
    return now if attempt.kill_since is None else attempt.kill_since


def _check_use(attempt: RunningAttempt) -> None:
    """End an attempt that holds too much memory or too many threads."""
    limits = attempt.limits
    use = _read_use(attempt.process)
    if use is None:
        return
    if use.resident_bytes > attempt.process.inherited_bytes + (limits.memory_megabytes << 20):
        attempt.end(Verdict("limit", f"memory limit of {limits.memory_megabytes} MiB reached"))
    elif use.threads > limits.threads:
        attempt.end(Verdict("limit", f"thread limit of {limits.threads} reached"))


class _Use(NamedTuple):
    resident_bytes: int
    threads: int


def _read_use(process: TaskProcess) -> _Use | None:
    """What a process holds, from /proc; None where that is hidden, absent or the process gone."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        kibibytes = sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem"))
        return _Use(kibibytes << 10, int(fields["Threads"]))
    return None
