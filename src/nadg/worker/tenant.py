"""What a worker holds for one master, over however many links."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

import msgspec

from nadg.domain.assignment import Assignment
from nadg.domain.outcome import Outcome
from nadg.link.frames import Frame, Output
from nadg.link.session import Session

OUTPUT_PENDING_BYTES = 4 << 20
"""While so much waits to be sent to a master, the tasks that talk wait too: their pipes are not read."""
HeldState = Literal["lacking", "ready", "running", "finished"]
"""`lacking`: blobs are still to come; `finished`: until the master acknowledges."""


class Held(msgspec.Struct, kw_only=True, eq=False):
    """One attempt on this worker."""

    assignment: Assignment
    tenant: Tenant
    blobs: dict[str, int]
    """What it refers to, SHA-256 to size."""
    state: HeldState = "lacking"
    begun: bool = False
    """Whether it had a slot."""
    cancelled: bool = False
    task: asyncio.Task[Outcome] | asyncio.Task[Outcome | bool] | None = None
    """Fetches its blobs or runs it."""
    outcome: Outcome | None = None

    @property
    def attempt_id(self) -> str:
        return self.assignment.attempt_id

    def output(self, stream: str, text: str) -> asyncio.Future[None] | None:
        """Pass live output on; where the link is slower than the task talks, say when to read on."""
        session = self.tenant.session
        if session is None:
            return None  # what it says now is in the tail of its outcome
        name: Literal["stdout", "stderr"] = "stderr" if stream == "stderr" else "stdout"
        session.send(Output(attempt_id=self.attempt_id, stream=name, text=text))
        return None if session.pending_bytes < OUTPUT_PENDING_BYTES else session.eased(OUTPUT_PENDING_BYTES // 2)


class Tenant:
    """One master: its link, where there is one now, and its attempts."""

    def __init__(self, master_id: str) -> None:
        self.master_id = master_id
        self.session: Session | None = None
        self.held: dict[str, Held] = {}
        self.ready: deque[Held] = deque()
        self.unfinished = 0
        """How many of `held` have not ended: counted, since many ends may wait to be acknowledged."""
        self.gone_at: float | None = None
        """When its link went."""

    def say(self, frame: Frame, soon: bool = True) -> None:
        """Send a frame where there is a link."""
        if self.session is not None:
            self.session.send(frame, soon)

    def add(self, held: Held) -> None:
        """It is this master's from now on."""
        held.tenant = self
        self.held[held.attempt_id] = held
        self.unfinished += held.state != "finished"

    def remove(self, held: Held) -> None:
        """It is no longer this master's."""
        del self.held[held.attempt_id]
        self.unfinished -= held.state != "finished"

    def note_end(self, held: Held, outcome: Outcome) -> bool:
        """It has ended. False where this master does not have it any more."""
        is_here = self.held.get(held.attempt_id) is held
        self.unfinished -= is_here and held.state != "finished"
        held.state, held.outcome = "finished", outcome
        return is_here
