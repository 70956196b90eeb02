"""Leases are renewed together, and each holder hears of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import event

from nadg.domain.errors import LeaseLost
from nadg.domain.run import NewRun
from nadg.store import SqlStore

Opened = Callable[[], AbstractAsyncContextManager[SqlStore]]


def test_many_leases_take_few_transactions_and_only_the_lost_one_is_lost(
    opened: Opened, advance: Callable[[float], None], new_run: Callable[..., NewRun]
) -> None:
    async def scenario() -> None:
        async with opened() as store:
            leases = [await store.runs.create(new_run(), "me", 10) for _ in range(20)]
            await store.runs.release(leases[3])
            begun: list[object] = []
            event.listen(store._database._writer, "begin", begun.append)
            asked = (store.runs.renew(lease, 100) for lease in leases)
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert [place for place, answer in enumerate(answers) if answer is not None] == [3]
            assert isinstance(answers[3], LeaseLost)
            assert len(begun) <= 2
            advance(50)
            assert await store.runs.unowned() == [leases[3].run_id]

    asyncio.run(scenario())


def test_whoever_goes_away_takes_nobody_along(opened: Opened, new_run: Callable[..., NewRun]) -> None:
    async def scenario() -> None:
        async with opened() as store:
            first, second, third = [await store.runs.create(new_run(), "me", 10) for _ in range(3)]
            going, staying, late = (
                asyncio.create_task(store.runs.renew(lease, 100)) for lease in (first, second, third)
            )
            await asyncio.sleep(0)
            going.cancel()
            await staying
            await late
            with pytest.raises(asyncio.CancelledError):
                await going
            alone = asyncio.create_task(store.runs.renew(first, 100))
            await asyncio.sleep(0)
            alone.cancel()
            await asyncio.wait({alone})
            await store.runs.renew(first, 100)

    asyncio.run(scenario())
