"""Live output waits for whoever listens: a task that talks faster is held up, not the worker's memory."""

from __future__ import annotations

import asyncio
from typing import Any

from nadg.domain.limits import Limits
from nadg.sandbox import Request

PIPE_BYTES = 1 << 16
TALK = "import os\nfor _ in range(64): os.write(1, b'x' * 65536)\nresult = 'said all'"


def test_a_task_waits_until_it_is_heard(box: Any) -> None:
    async def listen() -> tuple[int, int, Any]:
        told: list[str] = []
        go_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        full = asyncio.Event()

        def on_output(_stream: str, text: str) -> asyncio.Future[None]:
            told.append(text)
            full.set()
            return go_on

        attempt = asyncio.create_task(box.sandbox.run(Request(attempt_id="a", source=TALK), on_output))
        await full.wait()
        await box.sandbox.run(Request(attempt_id="b", source="result = 1"), lambda *_: None)
        while_held = sum(map(len, told))
        assert not attempt.done()
        go_on.set_result(None)
        ending = await attempt
        return while_held, sum(map(len, told)), ending

    while_held, in_all, ending = box.runner.run(listen())
    assert 0 < while_held <= 2 * PIPE_BYTES
    assert in_all == 64 * 65536
    assert box.decoded(ending) == "said all"


def test_nobody_who_listens_does_not_hold_up_a_limit(box: Any) -> None:
    """The wall limit ends a task that waits to be heard, and the lane works again."""

    async def never() -> Any:
        forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request = Request(attempt_id="a", source=TALK, limits=Limits(wall_seconds=0.5))
        return await box.sandbox.run(request, lambda *_: forever)

    ending = box.runner.run(never())
    assert (ending.kind, ending.reason) == ("limit", "wall time limit of 0.5 s reached")
    assert box.value("result = 1") == 1
