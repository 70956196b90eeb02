"""One attempt from its request to its ending: a job, a forked child, its end, what it made."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tempfile
from collections.abc import Coroutine, Iterator
from typing import Protocol, TypeVar

from nadg.domain.blob import INLINE_BYTES, Blobs, Value
from nadg.domain.clock import Clock
from nadg.domain.errors import SandboxUnavailable, UserError
from nadg.domain.limits import Limits
from nadg.sandbox import job as jobs
from nadg.sandbox.attempt import RunningAttempt, Verdict
from nadg.sandbox.collect import Collected, LimitReached, collect
from nadg.sandbox.contract import size_text
from nadg.sandbox.ending import Reading, read_ending, result_problem
from nadg.sandbox.lane import Lane
from nadg.sandbox.output import Output
from nadg.sandbox.place import Placed, has_files, place
from nadg.sandbox.request import Ending, Request

Done = TypeVar("Done")
_NOTHING = Collected((), ())


class Forks(Protocol):
    """Where an execution gets its process from."""

    async def fork(self, request: Request, attempt: RunningAttempt, memory_bytes: int, fds: list[int]) -> None:
        """Start the attempt's process. Raises SandboxUnavailable."""
        ...

    def forget(self, attempt: RunningAttempt) -> None:
        """The attempt is over."""
        ...


class Execution:
    """Carries out one request in one lane."""

    def __init__(
        self, request: Request, limits: Limits, lane: Lane, output: Output, blobs: Blobs, clock: Clock
    ) -> None:
        self._request = request
        self._limits = limits
        self._lane = lane
        self._output = output
        self._blobs = blobs
        self._clock = clock
        self._started_at = clock.now()

    async def run(self, forks: Forks) -> Ending:
        """To the end. Cancelling waits until the process is dead, then raises CancelledError."""
        placed = Placed()
        try:
            head = await self._make_job(placed)
            room = jobs.LENGTHS.size + self._limits.result_bytes + jobs.REPORT_OVERHEAD_BYTES
            size = max(len(head), room)
            with _job_memory(head, size) as memory_fd:
                attempt = RunningAttempt(self._limits)
                try:
                    await self._start(forks, attempt, size, [memory_fd, *self._lane.writers, *placed.fds])
                    await _wait_or_kill(attempt)
                finally:
                    forks.forget(attempt)
                    attempt.close()
                return await self._conclude(attempt, memory_fd, size)
        except UserError as error:
            return self._never_ran(Reading("failed", str(error)))
        except (OSError, SandboxUnavailable) as error:
            return self._never_ran(Reading("crashed", f"the attempt could not be carried out: {error}"))
        finally:
            placed.close()

    def _never_ran(self, reading: Reading) -> Ending:
        return Ending(
            kind=reading.kind,
            reason=reading.reason,
            started_at=self._started_at,
            finished_at=self._clock.now(),
        )

    async def _make_job(self, placed: Placed) -> bytes:
        """The head of the job memory; off the event loop where files must be placed."""
        arguments = (self._request, self._limits, self._lane, placed)
        if has_files(self._request):
            job = await through_cancellation(asyncio.to_thread(place, *arguments))
        else:
            job = place(*arguments)
        return jobs.encode_job(job, bytes(placed.inline))

    async def _start(self, forks: Forks, attempt: RunningAttempt, size: int, fds: list[int]) -> None:
        overflow = self._overflow()
        self._lane.open_to(self._output, lambda: attempt.end(overflow))
        await forks.fork(self._request, attempt, size, fds)

    def _overflow(self) -> Verdict:
        return Verdict("limit", f"output limit of {size_text(self._limits.output_bytes)} reached")

    async def _conclude(self, attempt: RunningAttempt, memory_fd: int, memory_bytes: int) -> Ending:
        """Read what came of it, now that its process is gone."""
        self._lane.is_doubtful = attempt.exit is None
        if not self._lane.drain() and attempt.verdict is None:
            attempt.verdict = self._overflow()
        self._output.close()
        finished_at = self._clock.now()
        reading = read_ending(attempt, self._lane.read_status(), memory_fd, memory_bytes)
        reading, value, collected = await self._take_results(reading)
        used = attempt.exit
        return Ending(
            kind=reading.kind,
            reason=reading.reason,
            detail=reading.detail,
            exit_code=reading.exit_code,
            result=value,
            per_item=reading.per_item,
            artifacts=collected.files,
            stdout_tail=self._output.tail("stdout"),
            stderr_tail=self._output.tail("stderr"),
            notes=(*reading.notes, *collected.notes),
            cpu_seconds=used.cpu_seconds if used else 0.0,
            max_rss_bytes=used.max_rss_bytes if used else 0,
            started_at=self._started_at,
            finished_at=finished_at,
        )

    async def _take_results(self, reading: Reading) -> tuple[Reading, Value | None, Collected]:
        """The result and the files of an attempt that succeeded; either may turn it into one that did not."""
        if reading.kind != "succeeded" or reading.result is None:
            return reading, None, _NOTHING
        if len(reading.result) <= INLINE_BYTES:
            problem, value = result_problem(reading.result), Value(inline=reading.result)
        else:
            problem, value = await through_cancellation(asyncio.to_thread(self._keep_result, reading.result))
        if problem:
            return Reading("failed", problem, exit_code=reading.exit_code), None, _NOTHING
        if not self._lane.has_files:
            return reading, value, _NOTHING
        try:
            collected = await through_cancellation(asyncio.to_thread(self._collect))
        except LimitReached as error:
            return Reading("limit", str(error), exit_code=reading.exit_code), None, _NOTHING
        return reading, value, collected

    def _keep_result(self, data: bytes) -> tuple[str, Value]:
        """Store a large result, off the event loop."""
        problem = result_problem(data)
        if problem:
            return problem, Value(inline=b"null")
        writer = self._blobs.create()
        try:
            writer.write(data)
            return "", Value(blob=writer.commit())
        finally:
            writer.abort()

    def _collect(self) -> Collected:
        return collect(self._lane.work_fd, self._blobs, self._limits)


async def _wait_or_kill(attempt: RunningAttempt) -> None:
    """Wait for the end of the process; a cancellation makes that end now."""
    try:
        await attempt.wait()
    except asyncio.CancelledError:
        attempt.end(Verdict("cancelled", "cancelled"))
        await attempt.wait_to_the_end()
        raise


@contextlib.contextmanager
def _job_memory(head: bytes, size: int) -> Iterator[int]:
    """The job memory, filled and, where the system can, sealed in its size."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("job", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        with tempfile.TemporaryFile() as made:
            fd = os.dup(made.fileno())
    try:
        os.ftruncate(fd, size)
        written = 0
        while written < len(head):
            written += os.pwrite(fd, memoryview(head)[written:], written)
        if hasattr(fcntl, "F_ADD_SEALS"):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        yield fd
    finally:
        os.close(fd)


async def through_cancellation(work: Coroutine[object, object, Done]) -> Done:
    """Await work that must not be left half done; a cancellation is raised once it is."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()
        raise cancelled
    return task.result()
