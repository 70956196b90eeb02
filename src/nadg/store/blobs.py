"""Which blobs there are and when each was last of use, so that the unused can be pruned."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from sqlalchemy import bindparam, delete, select, update

from nadg.domain.blob import BlobRef
from nadg.domain.clock import Clock
from nadg.store import dialect
from nadg.store.api import StoredBlob
from nadg.store.database import Database
from nadg.store.tables import blobs

_insert = dialect.insert_into(blobs)
_RECORD = _insert.on_conflict_do_update(
    index_elements=[blobs.c.sha256], set_={"last_used_at": _insert.excluded.last_used_at}
)
_TOUCH = update(blobs).where(blobs.c.sha256 == bindparam("b_sha256")).values(last_used_at=bindparam("b_now"))
_FORGET = delete(blobs).where(blobs.c.sha256 == bindparam("b_sha256"))
_UNUSED = (
    select(blobs)
    .where(blobs.c.last_used_at < bindparam("b_moment"))
    .order_by(blobs.c.last_used_at)
    .limit(bindparam("b_limit"))
)


class SqlBlobs:
    """See `nadg.store.api.BlobIndex`. Rows are written in order of name, so that writers never deadlock."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, refs: Iterable[BlobRef]) -> None:
        now = self._clock.now()
        sizes = {ref.sha256: ref.size for ref in refs}
        rows = [
            {"sha256": name, "size": size, "created_at": now, "last_used_at": now}
            for name, size in sorted(sizes.items())
        ]
        if rows:
            await self._database.write(lambda connection: connection.execute(_RECORD, rows))

    async def touch(self, sha256s: Iterable[str]) -> None:
        now = self._clock.now()
        rows = [{"b_sha256": name, "b_now": now} for name in sorted(set(sha256s))]
        if rows:
            await self._database.write(lambda connection: connection.execute(_TOUCH, rows))

    async def unused_since(self, moment: datetime.datetime, limit: int = 1000) -> list[StoredBlob]:
        key = {"b_moment": moment, "b_limit": limit}
        return await self._database.read(
            lambda connection: [
                StoredBlob(
                    blob=BlobRef(sha256=row.sha256, size=row.size),
                    created_at=row.created_at,
                    last_used_at=row.last_used_at,
                )
                for row in connection.execute(_UNUSED, key)
            ]
        )

    async def forget(self, sha256s: Iterable[str]) -> None:
        rows = [{"b_sha256": name} for name in sorted(set(sha256s))]
        if rows:
            await self._database.write(lambda connection: connection.execute(_FORGET, rows))
