"""A worker node as the registry and the engine know it."""

from __future__ import annotations

import datetime
import enum

import msgspec

from nadg.domain.tier import Tier

MASTER = "master"
"""Who carries prompt work: no worker, though it stands where one would in a receipt."""


SET_BY_HAND = "set by hand"
"""How the reason begins of what a person said of a worker: no master changes it."""


class WorkerStatus(enum.StrEnum):
    """What the registry says of a worker."""

    ACTIVE = "active"
    BUSY = "busy"
    OFFLINE = "offline"
    DRAINING = "draining"
    """It ends what it has and gets nothing new, until somebody says otherwise."""
    QUARANTINED = "quarantined"
    """It failed too often by its own fault; it is tried again by and by."""


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself when a link opens."""

    name: str
    """Unique on a grid; chosen by the worker, kept over restarts."""
    slots: int
    tier: Tier
    labels: tuple[str, ...] = ()
    skills: dict[str, str] = {}
    """Installed skills, name to version."""
    nadg_version: str = ""
    python_version: str = ""
    process_id: int = 0
    environment: str = ""
    """A hash of what its code runs in: Python, platform, distributions. Equal ones give equal results."""
    draining: str = ""
    """Why it takes nothing new, where it does not: it may still hold what another master is to take over."""


class WorkerNode(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the registry."""

    id: str
    vm_url: str
    status: WorkerStatus
    total_tasks: int = 0
    last_ping: datetime.datetime | None = None
    created_at: datetime.datetime | None = None
    name: str = ""
    slots: int = 0
    tier: str = ""
    labels: tuple[str, ...] = ()
    local: bool = False
    """Started by `nadg up` on this machine."""
    reason: str = ""
    """Why it is not in use, where that is known."""

    @property
    def by_hand(self) -> bool:
        """Whether a person keeps it out of use."""
        kept_out = self.status in (WorkerStatus.OFFLINE, WorkerStatus.DRAINING)
        return kept_out and self.reason.startswith(SET_BY_HAND)


class WorkerNote(msgspec.Struct, frozen=True, kw_only=True):
    """What a master finds of a registered worker. It counts only while the row still says what it `was`."""

    was: WorkerNode
    status: WorkerStatus
    reason: str = ""
    info: WorkerInfo | None = None
    """What the worker says of itself on a link that is up; None where there is no link."""
