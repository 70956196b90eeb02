"""Work that a cancellation must not leave half done."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

Done = TypeVar("Done")


async def through_cancellation(work: Coroutine[object, object, Done]) -> Done:
    """Await work to its end; a cancellation is raised once it is there."""
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


async def in_thread(work: Callable[[Callable[[], bool]], Done]) -> Done:
    """Do long work in a thread. Cancelling makes true what the work is given to ask, and waits for its end."""
    is_off = threading.Event()
    task = asyncio.ensure_future(asyncio.to_thread(work, is_off.is_set))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        is_off.set()
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # whatever came of it is of no use any more
        raise
