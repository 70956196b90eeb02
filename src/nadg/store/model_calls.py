"""What runs asked of language models: charged before it is sent, settled when its end is known."""

from __future__ import annotations

import datetime
from typing import get_args

from sqlalchemy import Connection, Row, bindparam, func, select, update

from nadg.domain.model_calls import CallCharge, CallRecord, ModelUsage, Settlement
from nadg.store import codec, dialect
from nadg.store.database import Database
from nadg.store.guards import Row as Parameters
from nadg.store.retention import prune_calls
from nadg.store.tables import model_calls

_NEXT_POSITION = select(func.coalesce(func.max(model_calls.c.position), 0) + 1).where(
    model_calls.c.run_id == bindparam("b_run")
)
_ADD = (
    dialect.insert_into(model_calls)
    .values(position=_NEXT_POSITION.scalar_subquery())
    .on_conflict_do_nothing(index_elements=[model_calls.c.id])
    .returning(model_calls.c.id)
)
_SETTLE = (
    update(model_calls)
    .where(model_calls.c.id == bindparam("b_id"), model_calls.c.state == "charged")
    .values(state=bindparam("b_state"), usage=bindparam("b_usage"), reason=bindparam("b_reason"))
)
_OF_RUN = select(model_calls).where(model_calls.c.run_id == bindparam("b_run")).order_by(model_calls.c.position)
_ONE = select(model_calls).where(model_calls.c.id == bindparam("b_id"))
_SETTLED = get_args(Settlement)


class SqlModelCalls:
    """See `nadg.store.api.ModelCalls`. Each write waits for the group of commits under way, and no other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def charge(self, charge: CallCharge) -> None:
        await self.record(CallRecord(charge=charge, state="charged"))

    async def settle(self, call_id: str, state: str, usage: ModelUsage | None, reason: str = "") -> None:
        if state not in _SETTLED:
            raise ValueError(f"model call {call_id}: settled as {state!r}; it is one of {', '.join(_SETTLED)}")
        row = {"b_id": call_id, "b_state": state, "b_usage": _encoded(usage), "b_reason": reason}
        await self._database.write(lambda connection: connection.execute(_SETTLE, row))

    async def record(self, record: CallRecord) -> None:
        row = _row(record)

        def add(connection: Connection) -> None:
            if not connection.execute(_ADD, row).first() and _stored(connection, record.charge.id) != record:
                raise ValueError(f"there is a model call {record.charge.id} already; each has an id of its own")

        await self._database.write(add)

    async def calls(self, run_id: str) -> list[CallRecord]:
        return await self._database.read(lambda connection: read_calls(connection, run_id))

    async def prune(self, before: datetime.datetime) -> int:
        return await self._database.write(lambda connection: prune_calls(connection, before))


def read_calls(connection: Connection, run_id: str) -> list[CallRecord]:
    """All calls of a run, in order."""
    return [_call(row) for row in connection.execute(_OF_RUN, {"b_run": run_id})]


def _stored(connection: Connection, call_id: str) -> CallRecord:
    return _call(connection.execute(_ONE, {"b_id": call_id}).one())


def _encoded(usage: ModelUsage | None) -> bytes | None:
    return None if usage is None else codec.encode(usage)


def _row(record: CallRecord) -> Parameters:
    charge = record.charge
    return {
        "id": charge.id,
        "run_id": charge.run_id,
        "b_run": charge.run_id,
        "subtask_id": charge.subtask_id,
        "purpose": charge.purpose,
        "model": charge.model,
        "state": record.state,
        "tokens": charge.tokens,
        "cost_usd": charge.cost_usd,
        "usage": _encoded(record.usage),
        "reason": record.reason,
        "created_at": charge.at,
    }


def _call(row: Row[tuple[object, ...]]) -> CallRecord:
    return CallRecord(
        charge=CallCharge(
            id=row.id,
            run_id=row.run_id,
            purpose=row.purpose,
            model=row.model,
            tokens=row.tokens,
            cost_usd=row.cost_usd,
            at=row.created_at,
            subtask_id=row.subtask_id,
        ),
        state=row.state,
        usage=None if row.usage is None else codec.decode_usage(row.usage),
        reason=row.reason,
    )
