"""Runs whose master is gone: whoever wants one of them ended does it himself."""

from __future__ import annotations

import os
import secrets
import socket

from nadg.domain.clock import Clock
from nadg.orchestrator.ending import ending_changes
from nadg.store.api import Runs

CLAIM_SECONDS = 30.0
"""Far longer than it takes to write down that a run has ended."""


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
