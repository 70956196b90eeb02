"""Answers of language models, kept for the next time that the same is asked."""

from __future__ import annotations

import datetime

from sqlalchemy import Connection, RowMapping, bindparam, delete, select, update

from nadg.domain.clock import Clock
from nadg.domain.model_calls import StoredAnswer
from nadg.store import codec, dialect
from nadg.store.database import Database
from nadg.store.retention import prune_answers
from nadg.store.tables import model_answers

TOUCH_AFTER = datetime.timedelta(days=1)
"""So old may the time of last use be before it is written anew: reading the cache nearly never writes."""

_GET = select(
    model_answers.c.model, model_answers.c.text, model_answers.c.usage, model_answers.c.last_used_at
).where(model_answers.c.key == bindparam("b_key"))
_fresh = dialect.insert_into(model_answers)
_PUT = _fresh.on_conflict_do_update(
    index_elements=[model_answers.c.key],
    set_={name: _fresh.excluded[name] for name in ("model", "text", "usage", "created_at", "last_used_at")},
)
_TOUCH = (
    update(model_answers).where(model_answers.c.key == bindparam("b_key")).values(last_used_at=bindparam("b_now"))
)
_FORGET = delete(model_answers).where(model_answers.c.key == bindparam("b_key"))


class SqlModelAnswers:
    """See `nadg.store.api.ModelAnswers`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, key: str) -> StoredAnswer | None:
        row = await self._database.read(lambda connection: _find(connection, key))
        if row is None:
            return None
        now = self._clock.now()
        if now - row["last_used_at"] >= TOUCH_AFTER:
            touch = {"b_key": key, "b_now": now}
            await self._database.write(lambda connection: connection.execute(_TOUCH, touch))
        return StoredAnswer(model=row["model"], text=row["text"], usage=codec.decode_usage(row["usage"]))

    async def put(self, key: str, answer: StoredAnswer) -> None:
        now = self._clock.now()
        row = {
            "key": key,
            "model": answer.model,
            "text": answer.text,
            "usage": codec.encode(answer.usage),
            "created_at": now,
            "last_used_at": now,
        }
        await self._database.write(lambda connection: connection.execute(_PUT, row))

    async def prune(self, unused_since: datetime.datetime) -> int:
        return await self._database.write(lambda connection: prune_answers(connection, unused_since))

    async def forget(self, key: str) -> None:
        await self._database.write(lambda connection: connection.execute(_FORGET, {"b_key": key}))


def _find(connection: Connection, key: str) -> RowMapping | None:
    return connection.execute(_GET, {"b_key": key}).mappings().one_or_none()
