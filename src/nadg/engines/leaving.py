"""Leave a task group that belongs to an object which is itself a context manager."""

from __future__ import annotations

import asyncio
from types import TracebackType


async def leave_tasks(
    tasks: asyncio.TaskGroup,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    """Wait for its tasks, which were told to end. An error of the `with` body passes as it is.

    A task group would wrap that error in an ExceptionGroup, which is right only for errors of its tasks.
    """
    if isinstance(error, asyncio.CancelledError):
        await tasks.__aexit__(kind, error, trace)
    else:
        await tasks.__aexit__(None, None, None)
