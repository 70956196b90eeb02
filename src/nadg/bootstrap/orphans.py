"""Runs whose master is gone: whoever wants one of them ended does it himself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket

from nadg.domain.clock import Clock
from nadg.domain.errors import NadgError
from nadg.domain.run import Lease
from nadg.orchestrator.ending import ending_changes
from nadg.store.api import Runs

CLAIM_SECONDS = 30.0
"""Far longer than it takes to write down that a run has ended."""

END_SECONDS = 5.0
"""So long a master that stops tries to write down that its run has ended."""


def create_owner() -> str:
    """A name for this process as the holder of leases, unlike any other's."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


async def end_orphan(runs: Runs, run_id: str, reason: str, clock: Clock) -> bool:
    """Cancel a run that no master carries out; False where one does, or where it has ended."""
    lease = await runs.claim(run_id, create_owner(), CLAIM_SECONDS)
    if lease is None:
        return False
    await runs.commit(lease, ending_changes(await runs.get(run_id), reason, clock.now()))
    return True


async def end_abandoned(runs: Runs, lease: Lease, clock: Clock) -> None:
    """Nobody goes on with a run whose loop broke off: it shall not look as if it went on.

    Whoever stops does not wait for a database in trouble; there the lease runs out by itself.
    """
    with contextlib.suppress(NadgError, TimeoutError):  # what broke the loop off is told, not what came of it
        async with asyncio.timeout(END_SECONDS):
            await runs.release(lease)
            await end_orphan(runs, lease.run_id, "its master stopped before the end", clock)
