"""Looks at what a running attempt has on disk, where the kernel does not bound it: number and sizes of files.

An attempt that ends before the first look is never looked at. A look reads no file, ends at the first entry that
is too much, and the next one comes no sooner than four times as long as this one took.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from nadg.domain.limits import Limits
from nadg.sandbox.cancellation import in_thread
from nadg.sandbox.collect import LimitReached, Stopped, check_limits

INTERVAL_SECONDS: Final = 0.25
_REST_FACTOR: Final = 4


class DiskWatch:
    """Calls `on_breach` once with the sentence that names the limit. Close it before the folders' descriptors."""

    def __init__(self, folder_fds: Sequence[int], limits: Limits, on_breach: Callable[[str], None]) -> None:
        self._folder_fds = folder_fds
        self._limits = limits
        self._on_breach = on_breach
        self._loop = asyncio.get_running_loop()
        self._looking: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(INTERVAL_SECONDS, self._begin) if folder_fds else None

    def _begin(self) -> None:
        self._looking = asyncio.create_task(self._look(), name="look at an attempt's files")

    async def _look(self) -> None:
        while True:
            began = self._loop.time()
            try:
                for folder_fd in self._folder_fds:
                    await in_thread(lambda is_off, fd=folder_fd: check_limits(fd, self._limits, is_off))  # type: ignore[misc]  # a default
            except LimitReached as error:
                self._on_breach(str(error))
                return
            except (OSError, Stopped):
                pass  # files come and go while it looks
            took = self._loop.time() - began
            await asyncio.sleep(max(INTERVAL_SECONDS, _REST_FACTOR * took))

    async def close(self) -> None:
        """Stop looking, and wait until it stopped."""
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
