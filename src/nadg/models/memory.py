"""What the gateway wants to be remembered, and by whom: the store does it in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nadg.domain.model_calls import CallCharge, CallRecord, ModelUsage, StoredAnswer


class Ledger(Protocol):
    """The record of what runs spent. Each write is durable when it returns."""

    async def charge(self, charge: CallCharge) -> None:
        """Before a request is sent. Raises ValueError where the id is taken."""
        ...

    async def settle(self, call_id: str, state: str, usage: ModelUsage | None, reason: str = "") -> None:
        """After it, as one of `Settlement`; `failed` with what it may have cost all the same.

        The first settling stands.
        """
        ...

    async def record(self, record: CallRecord) -> None:
        """Something that needs no charge: an answer out of the cache."""
        ...

    async def calls(self, run_id: str) -> Sequence[CallRecord]:
        """All of a run, in order; empty where there are none."""
        ...


class AnswerCache(Protocol):
    """Answers by the hash of what was asked."""

    async def get(self, key: str) -> StoredAnswer | None: ...

    async def put(self, key: str, answer: StoredAnswer) -> None:
        """Keep it; a later one for the same key takes its place."""
        ...

    async def forget(self, key: str) -> None:
        """Keep it no longer; harmless where there is none."""
        ...
