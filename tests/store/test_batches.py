"""Many rows in one statement: those that meet the same row of a table do so in order, and all are counted."""

from __future__ import annotations

import asyncio
import datetime

import pytest
from sqlalchemy import Connection, bindparam, insert, select, update

from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import StoreUnavailable
from nadg.store.database import Database
from nadg.store.dialect import execute_many, locate
from nadg.store.guards import Row
from nadg.store.patience import Patience
from nadg.store.tables import blobs, model_calls
from tests.store.conftest import Place

_GROW = (
    update(blobs)
    .where(blobs.c.sha256 == bindparam("b_name"), blobs.c.size == bindparam("b_from"))
    .values(size=bindparam("b_size"))
)


def _carry_out(place: Place, operation: object) -> object:
    async def scenario() -> object:
        database = Database(locate(place), 1, Patience(0, SystemClock(), lambda _: None))
        await database.open()
        try:
            assert callable(operation)
            return await database.write(operation)
        finally:
            await database.close()

    return asyncio.run(scenario())


def _blob(name: str, clock: Clock) -> Row:
    return {"sha256": name, "size": 0, "created_at": clock.now(), "last_used_at": clock.now()}


def test_rows_that_meet_the_same_row_do_so_in_their_order(place: Place, clock: Clock) -> None:
    steps: list[Row] = [
        {"b_name": name, "b_from": size, "b_size": size + 1} for size in range(3) for name in ("a", "b", "b2")
    ]

    def operation(connection: Connection) -> tuple[int, int, int, list[int]]:
        added = execute_many(connection, insert(blobs), [_blob(name, clock) for name in ("a", "b", "b2", "c")])
        met = execute_many(connection, _GROW, steps)
        missed = execute_many(connection, _GROW, [steps[0], {**steps[0], "b_name": "c"}])
        sizes = connection.execute(select(blobs.c.size).order_by(blobs.c.sha256)).scalars()
        return added, met, missed, list(sizes)

    assert _carry_out(place, operation) == (4, 9, 1, [3, 3, 3, 1])


def test_every_kind_of_value_comes_back_equal(place: Place) -> None:
    at = datetime.datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=datetime.UTC)
    plain: Row = {
        "id": "1",
        "run_id": "r",
        "position": 1 << 62,
        "subtask_id": "",
        "purpose": "plan",
        "model": "m",
        "state": "charged",
        "tokens": -1,
        "cost_usd": None,
        "usage": None,
        "reason": "",
        "created_at": at,
    }
    odd = 'ä"\\{},NULL\x00\x1a0\x1a\n'
    full: Row = {**plain, "id": "2", "reason": odd, "cost_usd": 0.1, "usage": bytes(range(256)), "tokens": 0}

    def operation(connection: Connection) -> tuple[object, ...]:
        assert execute_many(connection, insert(model_calls), [plain, full]) == 2
        rows = connection.execute(select(model_calls).order_by(model_calls.c.id)).mappings()
        return tuple(dict(row) for row in rows)

    assert _carry_out(place, operation) == (plain, full)


def test_nothing_to_do_asks_nothing(place: Place) -> None:
    assert _carry_out(place, lambda connection: execute_many(connection, _GROW, [])) == 0


def test_what_the_database_refuses_is_refused_whole(place: Place, clock: Clock) -> None:
    rows = [_blob(name, clock) for name in ("a", "b", "a")]
    with pytest.raises(StoreUnavailable, match=r"(?i)unique"):
        _carry_out(place, lambda connection: execute_many(connection, insert(blobs), rows))
    found = _carry_out(place, lambda connection: connection.execute(select(blobs.c.sha256)).scalars().all())
    assert found == []
