"""An attempt that is cancelled while its files are collected ends soon, not after the last file."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.limits import Limits
from nadg.sandbox import Policy, Request, Sandbox
from tests.sandbox.test_collecting import Blobs

FILES = 500
SOURCE = f"for i in range({FILES}): open(str(i), 'w').write(str(i))"


def test_cancelling_while_files_are_collected_stops_that(short_folder: Path, box: Any) -> None:
    async def inside() -> int:
        reached, go_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def on_read() -> None:
            loop.call_soon_threadsafe(reached.set)
            go_on.wait(20)

        blobs = Blobs(box.blobs, on_read)
        async with Sandbox(Policy(zygotes={"lean": ()}), short_folder / "cancelled", blobs) as sandbox:
            request = Request(attempt_id="r/s/0/1", source=SOURCE, limits=Limits(wall_seconds=30))
            attempt = asyncio.create_task(sandbox.run(request, lambda *_: None))
            await reached.wait()
            attempt.cancel()
            await asyncio.sleep(0)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await attempt
        return blobs.reads

    assert asyncio.run(inside()) < FILES
