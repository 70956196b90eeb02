"""One attempt from its request to its ending: a job, a forked child, its end, what it made."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager

from nadg.domain.blob import INLINE_BYTES, Blobs, Value
from nadg.domain.clock import Clock
from nadg.domain.errors import UserError
from nadg.domain.limits import Limits
from nadg.sandbox import job as jobs
from nadg.sandbox.attempt import RunningAttempt, Verdict
from nadg.sandbox.cancellation import in_thread, through_cancellation
from nadg.sandbox.collect import Collected, LimitReached, collect
from nadg.sandbox.contract import size_text
from nadg.sandbox.disk_watch import DiskWatch
from nadg.sandbox.ending import Reading, read_ending, result_problem
from nadg.sandbox.memory import create_memory
from nadg.sandbox.output import Output
from nadg.sandbox.place import Placed, has_files, place
from nadg.sandbox.process import TaskProcess
from nadg.sandbox.remove import is_empty
from nadg.sandbox.request import Ending, Request

_NOTHING = Collected((), ())


class Execution:
    """Carries out one request in one process that waits for its job."""

    def __init__(
        self, request: Request, limits: Limits, process: TaskProcess, output: Output, blobs: Blobs, clock: Clock
    ) -> None:
        self._request = request
        self._limits = limits
        self._process = process
        self._lane = process.lane
        self._output = output
        self._blobs = blobs
        self._clock = clock
        self._started_at = clock.now()

    async def run(self, watch: Callable[[RunningAttempt], AbstractContextManager[None]]) -> Ending:
        """To the end. Cancelling waits until the process is dead, then raises CancelledError."""
        placed = Placed()
        try:
            head = await self._make_job(placed)
            room = jobs.LENGTHS.size + self._limits.result_bytes + jobs.REPORT_OVERHEAD_BYTES
            size = max(len(head), room)
            with create_memory(head, size) as memory_fd:
                attempt = RunningAttempt(self._limits, self._process)
                disk = DiskWatch(self._lane.disk_fds, self._limits, lambda why: attempt.end(Verdict("limit", why)))
                try:
                    with watch(attempt):
                        self._start(attempt, memory_fd, size, placed.fds)
                        await _wait_or_kill(attempt)
                finally:
                    await disk.close()
                return await self._conclude(attempt, memory_fd, size)
        except UserError as error:
            return self._never_ran(Reading("failed", str(error)))
        except OSError as error:
            return self._never_ran(Reading("crashed", f"the attempt could not be carried out: {error}"))
        finally:
            placed.close()
            await end(self._process)

    def _never_ran(self, reading: Reading) -> Ending:
        return never_ran(reading, self._started_at, self._clock)

    async def _make_job(self, placed: Placed) -> bytes:
        """The head of the job memory; off the event loop where files must be placed."""
        arguments = (self._request, self._limits, self._lane, placed)
        if has_files(self._request):
            job = await through_cancellation(asyncio.to_thread(place, *arguments))
        else:
            job = place(*arguments)
        return jobs.encode_job(job, bytes(placed.inline))

    def _start(self, attempt: RunningAttempt, memory_fd: int, size: int, value_fds: list[int]) -> None:
        overflow = self._overflow()
        self._lane.open_to(self._output, lambda: attempt.end(overflow))
        self._process.bound(self._limits, size)
        self._process.send_job(memory_fd, size, value_fds)

    def _overflow(self) -> Verdict:
        return Verdict("limit", f"output limit of {size_text(self._limits.output_bytes)} reached")

    async def _conclude(self, attempt: RunningAttempt, memory_fd: int, memory_bytes: int) -> Ending:
        """Read what came of it, now that its process is gone."""
        self._lane.drain()
        if self._output.is_exceeded and attempt.verdict is None:
            attempt.verdict = self._overflow()
        self._output.close()
        finished_at = self._clock.now()
        reading = read_ending(attempt, memory_fd, memory_bytes)
        reading, value, collected = await self._take_results(reading)
        used = self._process.exit
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
        if is_empty(self._process.work_fd):
            return reading, value, _NOTHING
        try:
            collected = await in_thread(self._collect)
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

    def _collect(self, is_off: Callable[[], bool]) -> Collected:
        return collect(self._process.work_fd, self._blobs, self._limits, is_off)


def never_ran(reading: Reading, started_at: datetime.datetime, clock: Clock) -> Ending:
    """The ending of an attempt whose code did not run."""
    return Ending(kind=reading.kind, reason=reading.reason, started_at=started_at, finished_at=clock.now())


async def end(process: TaskProcess) -> None:
    """Kill a process that still waits for a job, and see it dead; nothing to do for one that ended."""
    if not process.is_over:
        over = asyncio.Event()
        process.when_over(over.set)
        process.kill()
        await through_cancellation(over.wait())


async def _wait_or_kill(attempt: RunningAttempt) -> None:
    """Wait for the end of the process; a cancellation makes that end now."""
    try:
        await attempt.wait()
    except asyncio.CancelledError:
        attempt.end(Verdict("cancelled", "cancelled"))
        await attempt.wait_to_the_end()
        raise
