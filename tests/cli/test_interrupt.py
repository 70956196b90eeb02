"""A Ctrl-C that comes when nobody listens any longer: it cancels, and breaks into no task."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from nadg.cli.interrupt import SIGNALS, Interruption


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("while_listening", [0, 2])
def test_a_late_ctrl_c_cancels_what_runs(while_listening: int) -> None:
    """As the screen closes, or the workers of a run that was stopped at once."""
    ends: list[str] = []

    async def closing() -> None:
        try:
            ctrl_c()
            await asyncio.Event().wait()
        except BaseException as error:
            ends.append(type(error).__name__)
            raise

    async def run() -> None:
        twice = asyncio.Event()
        with Interruption().listening(twice.set):
            for _ in range(while_listening):
                ctrl_c()
                await asyncio.sleep(0)
            if while_listening:
                await twice.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(closing())

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run())
    assert ends == ["CancelledError"]


def test_afterwards_each_signal_does_what_it_did() -> None:
    async def run() -> None:
        before = [signal.getsignal(one) for one in SIGNALS]
        with Interruption().listening(lambda: None):
            assert [signal.getsignal(one) for one in SIGNALS] != before
        assert [signal.getsignal(one) for one in SIGNALS] == before

    asyncio.run(run())
