"""What a run's owner does beside the run itself: keep the lease, hear of a cancellation, watch the deadline."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Protocol

from nadg.domain.clock import Clock
from nadg.domain.run import Lease, RunOptions

CANCEL_POLL_SECONDS = 1.0
"""How often the store is asked whether another process wants the run cancelled."""

RENEWALS_PER_LEASE = 5
"""So often a lease is renewed within its length: a few may come late before it runs out."""


class LeaseStore(Protocol):
    """What the keeping of a lease needs of the store."""

    async def renew(self, lease: Lease, lease_seconds: float) -> None: ...

    async def cancel_requested(self, run_id: str) -> str | None: ...


def written_seconds(lease_seconds: float) -> float:
    """For how long a lease is written down, so that its run goes on elsewhere within `lease_seconds`.

    Those who take over look once a second: that second is part of the time a user was promised.
    """
    return max(lease_seconds - 1.0, lease_seconds / 2)


async def keep_lease(store: LeaseStore, lease: Lease, lease_seconds: float) -> None:
    """Renew for ever. Raises LeaseLost as soon as another master holds the run."""
    while True:
        await store.renew(lease, written_seconds(lease_seconds))
        await asyncio.sleep(lease_seconds / RENEWALS_PER_LEASE)


async def watch_cancellation(store: LeaseStore, run_id: str, cancel: Callable[[str], None]) -> None:
    """Notice a cancellation asked for in another process, be it before this one had the run."""
    while True:
        reason = await store.cancel_requested(run_id)
        if reason is not None:
            cancel(reason)
        await asyncio.sleep(CANCEL_POLL_SECONDS)


async def watch_deadline(
    options: RunOptions, created_at: datetime.datetime | None, clock: Clock, fail: Callable[[str], None]
) -> None:
    """Fail the run when its time is over, which counts from its creation, whoever had it since."""
    seconds = options.timeout_seconds
    if seconds is not None:
        await asyncio.sleep(seconds_left(seconds, created_at, clock.now()))
        fail(f"the run's time limit of {seconds:g} s was reached")


def seconds_left(seconds: float, created_at: datetime.datetime | None, now: datetime.datetime) -> float:
    """What is left of the time; all of it where the clock that told the creation was ahead of this one."""
    gone = 0.0 if created_at is None else max(0.0, (now - created_at).total_seconds())
    return max(0.0, seconds - gone)
