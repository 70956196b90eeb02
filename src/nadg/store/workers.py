"""The registry of worker nodes."""

from __future__ import annotations

import builtins
import datetime
import itertools
import operator
import uuid
from collections.abc import Iterable

from sqlalchemy import BindParameter, Connection, RowMapping, Update, and_, bindparam, delete, or_, select, update

from nadg.domain.clock import Clock
from nadg.domain.errors import NotFound, UserError
from nadg.domain.worker import WorkerInfo, WorkerNode, WorkerNote, WorkerStatus
from nadg.store import codec, dialect
from nadg.store.database import Database
from nadg.store.guards import Row
from nadg.store.tables import worker_nodes
from nadg.store.types import UtcDateTime

_ALL = select(worker_nodes).order_by(worker_nodes.c.created_at, worker_nodes.c.id)
_BY_URL = select(worker_nodes).where(worker_nodes.c.vm_url == bindparam("b_url"))
_BY_ANY = select(worker_nodes).where(
    or_(
        worker_nodes.c.id == bindparam("b_key"),
        worker_nodes.c.vm_url == bindparam("b_key"),
        worker_nodes.c.name == bindparam("b_key"),
    )
)
_REMOVE = delete(worker_nodes).where(worker_nodes.c.id == bindparam("b_id"))
_SET_STATUS = (
    update(worker_nodes)
    .where(worker_nodes.c.id == bindparam("b_id"))
    .values(status=bindparam("b_status"), reason=bindparam("b_reason"))
)
_AS_IT_WAS = and_(
    worker_nodes.c.id == bindparam("b_id"),
    worker_nodes.c.status == bindparam("b_was_status"),
    worker_nodes.c.reason == bindparam("b_was_reason"),
)
"""The row still says of the worker what its reader read."""
_NOTE: dict[str, BindParameter[str]] = {"status": bindparam("b_status"), "reason": bindparam("b_reason")}
_NOTE_SILENT = (
    update(worker_nodes)
    .where(_AS_IT_WAS, worker_nodes.c.last_ping.is_not_distinct_from(bindparam("b_was_ping", type_=UtcDateTime())))
    .values(_NOTE)
)
_NOTE_LINKED = (
    update(worker_nodes)
    .where(_AS_IT_WAS)
    .values(_NOTE | {name: bindparam(f"b_{name}") for name in ("last_ping", "name", "slots", "tier", "labels")})
)
_ADD = dialect.insert_into(worker_nodes).on_conflict_do_nothing()
_TOLD = ("status", "last_ping", "name", "slots", "tier", "labels", "reason")
"""What a worker says of itself, anew each time."""
_fresh = dialect.insert_into(worker_nodes)
_SEEN = _fresh.on_conflict_do_update(
    index_elements=[worker_nodes.c.vm_url], set_={name: _fresh.excluded[name] for name in _TOLD}
)


class SqlWorkers:
    """See `nadg.store.api.Workers`.

    Rows are written in order of name, as are those of the workers that a commit counts tasks of, so that masters
    which share workers never wait for each other in a circle.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, url: str, name: str = "", local: bool = False) -> WorkerNode:
        row = _new_row(url, self._clock.now()) | {"name": name, "local": local}
        if name and not local:  # given by hand: the worker may call itself otherwise, as receipts do
            row |= {"id": name}

        def add(connection: Connection) -> WorkerNode:
            connection.execute(_ADD, row)
            found = connection.execute(_BY_URL, {"b_url": url}).mappings().one_or_none()
            if found is None:
                raise UserError(f"another worker has the id {name!r}; choose another name, or remove that one")
            return _worker(found)

        return await self._database.write(add)

    async def list(self) -> builtins.list[WorkerNode]:
        return await self._database.read(
            lambda connection: [_worker(row) for row in connection.execute(_ALL).mappings()]
        )

    async def get(self, key: str) -> WorkerNode:
        return await self._database.read(lambda connection: _find(connection, key))

    async def remove(self, worker_id: str) -> None:
        found = False

        def remove(connection: Connection) -> None:
            nonlocal found
            if connection.execute(_REMOVE, {"b_id": worker_id}).rowcount:
                found = True
            elif not found:  # else it was us, who were not told
                raise _no_worker(worker_id)

        await self._database.write(remove)

    async def set_status(self, worker_id: str, status: WorkerStatus, reason: str = "") -> None:
        row = {"b_id": worker_id, "b_status": str(status), "b_reason": reason}

        def set_status(connection: Connection) -> None:
            if not connection.execute(_SET_STATUS, row).rowcount:
                raise _no_worker(worker_id)

        await self._database.write(set_status)

    async def note(self, notes: Iterable[WorkerNote]) -> datetime.datetime:
        now = self._clock.now()
        steps = [_noted(one, now) for one in sorted(notes, key=lambda one: (one.was.name, one.was.id))]

        def note(connection: Connection) -> datetime.datetime:
            for statement, some in itertools.groupby(steps, operator.itemgetter(0)):
                connection.execute(statement, [row for _, row in some])  # in their order, but one way for many
            return now

        return await self._database.write(note) if steps else now

    async def seen(self, url: str, info: WorkerInfo, status: WorkerStatus) -> WorkerNode:
        now = self._clock.now()
        row = _new_row(url, now) | {"status": str(status)} | _told(info, now)

        def seen(connection: Connection) -> WorkerNode:
            connection.execute(_SEEN, row)
            return _worker(connection.execute(_BY_URL, {"b_url": url}).mappings().one())

        return await self._database.write(seen)


def _new_row(url: str, now: datetime.datetime) -> Row:
    """A worker of which nothing is known but where it is."""
    if not url.strip():
        raise UserError("the worker's URL is empty; write http://HOST:PORT")
    return {
        "id": uuid.uuid4().hex[:12],
        "vm_url": url,
        "status": str(WorkerStatus.OFFLINE),
        "created_at": now,
        "labels": codec.encode(()),
        "reason": "",
    }


def _noted(note: WorkerNote, now: datetime.datetime) -> tuple[Update, Row]:
    """The statement that writes a note, and its parameters."""
    row: Row = {
        "b_id": note.was.id,
        "b_was_status": str(note.was.status),
        "b_was_reason": note.was.reason,
        "b_status": str(note.status),
        "b_reason": note.reason,
    }
    if note.info is None:
        return _NOTE_SILENT, row | {"b_was_ping": note.was.last_ping}
    return _NOTE_LINKED, row | {f"b_{name}": value for name, value in _told(note.info, now).items()}


def _told(info: WorkerInfo, now: datetime.datetime) -> Row:
    """What a worker says of itself, as columns."""
    return {
        "last_ping": now,
        "name": info.name,
        "slots": info.slots,
        "tier": str(info.tier),
        "labels": codec.encode(info.labels),
    }


def _find(connection: Connection, key: str) -> WorkerNode:
    found = [_worker(row) for row in connection.execute(_BY_ANY, {"b_key": key}).mappings()] if key else []
    exact = [one for one in found if key in (one.id, one.vm_url)] or found
    if not exact:
        raise _no_worker(key)
    if len(exact) > 1:
        ids = ", ".join(sorted(one.id for one in exact))
        raise UserError(f"{len(exact)} workers are named {key!r} ({ids}); give the id")
    return exact[0]


def _no_worker(key: str) -> NotFound:
    return NotFound(f"no worker {key!r}; see `nadg workers list`")


def _worker(row: RowMapping) -> WorkerNode:
    return WorkerNode(
        **{**row, "status": WorkerStatus(row["status"]), "labels": codec.decode_labels(row["labels"])}
    )
