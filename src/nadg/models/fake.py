"""A ledger and a cache of answers in memory, for tests; they pass the same conformance suite as those in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from nadg.domain.model_calls import CallCharge, CallRecord, CallState, ModelUsage, StoredAnswer


class FakeLedger:
    """A `Ledger` that lasts as long as it is kept."""

    def __init__(self) -> None:
        self._records: dict[str, CallRecord] = {}

    async def charge(self, charge: CallCharge) -> None:
        self._add(CallRecord(charge=charge, state="charged"))

    async def settle(self, call_id: str, state: str, usage: ModelUsage | None, reason: str = "") -> None:
        record = self._records.get(call_id)
        if record is not None and record.state == "charged":
            changed = msgspec.structs.replace(record, state=cast("CallState", state), usage=usage, reason=reason)
            self._records[call_id] = changed

    async def record(self, record: CallRecord) -> None:
        self._add(record)

    async def calls(self, run_id: str) -> Sequence[CallRecord]:
        return [record for record in self._records.values() if record.charge.run_id == run_id]

    def _add(self, record: CallRecord) -> None:
        if record.charge.id in self._records:
            raise ValueError(f"there is a call {record.charge.id} already")
        self._records[record.charge.id] = record


class FakeAnswerCache:
    """An `AnswerCache` that lasts as long as it is kept."""

    def __init__(self) -> None:
        self._answers: dict[str, StoredAnswer] = {}

    async def get(self, key: str) -> StoredAnswer | None:
        return self._answers.get(key)

    async def put(self, key: str, answer: StoredAnswer) -> None:
        self._answers[key] = answer

    async def forget(self, key: str) -> None:
        self._answers.pop(key, None)
