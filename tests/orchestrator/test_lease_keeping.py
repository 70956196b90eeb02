"""How long a lease is written for, how often it is kept, and what is left of a run's time."""

from __future__ import annotations

import asyncio
import datetime

import pytest

from nadg.domain.errors import LeaseLost
from nadg.domain.run import Lease
from nadg.orchestrator.lease_keeping import keep_lease, seconds_left, watch_cancellation, written_seconds

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LEASE = Lease(run_id="r", owner="me", term=1)


class Store:
    """Counts renewals, and refuses the fourth."""

    def __init__(self, cancelled: str | None = None) -> None:
        self.renewals: list[float] = []
        self.cancelled = cancelled

    async def renew(self, lease: Lease, lease_seconds: float) -> None:
        self.renewals.append(lease_seconds)
        if len(self.renewals) == 4:
            raise LeaseLost("another's")

    async def cancel_requested(self, run_id: str) -> str | None:
        return self.cancelled


@pytest.mark.parametrize(("lease", "written"), [(15.0, 14.0), (3.0, 2.0), (1.0, 0.5), (0.2, 0.1)])
def test_a_lease_is_written_for_less_by_the_second_that_finding_it_takes(lease: float, written: float) -> None:
    assert written_seconds(lease) == written


def test_a_lease_is_renewed_at_once_and_five_times_within_its_length() -> None:
    store = Store()

    async def body() -> float:
        began = asyncio.get_running_loop().time()
        with pytest.raises(LeaseLost):
            await keep_lease(store, LEASE, 0.05)
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(body()) >= 3 * 0.01
    assert store.renewals == [0.025] * 4


def test_a_cancellation_from_before_this_owner_is_heard_at_once() -> None:
    heard: list[str] = []

    async def body() -> None:
        watching = asyncio.create_task(watch_cancellation(Store("enough"), "r", heard.append))
        await asyncio.sleep(0)
        watching.cancel()

    asyncio.run(body())
    assert heard == ["enough"]


@pytest.mark.parametrize(
    ("age", "left"), [(None, 10.0), (0, 10.0), (4, 6.0), (10, 0.0), (3600, 0.0), (-3600, 10.0)]
)
def test_what_is_left_of_a_time_limit_is_never_negative_and_never_more_than_all(
    age: float | None, left: float
) -> None:
    created = None if age is None else NOW - datetime.timedelta(seconds=age)
    assert seconds_left(10.0, created, NOW) == left
