"""What a worker holds for one master, over however many links."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

import msgspec

from nadg.domain.assignment import Assignment
from nadg.domain.outcome import Outcome
from nadg.link.session import Session

HeldState = Literal["lacking", "ready", "running", "finished"]
"""`lacking`: blobs are still to come; `finished`: until the master acknowledges."""


class Held(msgspec.Struct, kw_only=True, eq=False):
    """One attempt on this worker."""

    assignment: Assignment
    tenant: Tenant
    blobs: dict[str, int]
    """What it refers to, SHA-256 to size."""
    state: HeldState = "lacking"
    cancelled: bool = False
    task: asyncio.Task[Outcome] | asyncio.Task[Outcome | bool] | None = None
    """Fetches its blobs or runs it."""
    outcome: Outcome | None = None

    @property
    def attempt_id(self) -> str:
        return self.assignment.attempt_id


class Tenant:
    """One master: its link, where there is one now, and its attempts."""

    def __init__(self, master_id: str) -> None:
        self.master_id = master_id
        self.session: Session | None = None
        self.held: dict[str, Held] = {}
        self.ready: deque[Held] = deque()
        self.gone_at: float | None = None
        """When its link went."""

    @property
    def unfinished(self) -> int:
        return sum(held.state != "finished" for held in self.held.values())
