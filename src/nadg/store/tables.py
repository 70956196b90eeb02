"""The tables. Only this package knows their columns; `migrations/` holds how they came to be.

Tables carry no schema name: a database that has schemas puts them into `nadg` by translating the name.
JSON that only NADG reads (pieces, outcomes, plans) is kept as bytes, exactly as it was encoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from nadg.domain.model_calls import CallState
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.domain.worker import WorkerStatus
from nadg.store.types import AnyText, UtcDateTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _one_of(column: str, states: Iterable[str]) -> CheckConstraint:
    """The column holds a state of this kind and nothing else."""
    listed = ", ".join(f"'{state}'" for state in states)
    return CheckConstraint(text(f"{column} IN ({listed})"), name=column)


def _text(name: str, *, default: str | None = "") -> Column[str]:
    return Column(name, AnyText, nullable=False, server_default=default)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0")


_KEYED = text("cache_key <> ''")

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    _text("command", default=None),
    _text("planner", default=None),
    _text("state", default=None),
    _text("reason"),
    Column("plan", LargeBinary, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("options", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("cancel_reason", AnyText),
    Column("lease_owner", Text),
    Column("lease_term", BigInteger, nullable=False),
    Column("lease_expires_at", UtcDateTime),
    Column("last_event_seq", BigInteger, nullable=False, server_default="0"),
    _text("answer"),
    Column("planning", Boolean, nullable=False, server_default=false()),
    _text("parent"),
    _one_of("state", RunState),
)
"""`lease_owner` may write while `lease_term` stays what it was given; a final state has no owner.

While `planning` is true, `plan` grows and its subtasks may be redefined. `parent` is the run that it resumes
or forks, which may be gone.
"""
Index(None, runs.c.created_at, runs.c.id)
Index(None, runs.c.state, runs.c.created_at, runs.c.id)
Index(None, runs.c.finished_at)

subtasks = Table(
    "subtasks",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    _text("title", default=None),
    _text("state", default=None),
    _text("reason"),
    Column("result", LargeBinary),
    Column("artifacts", LargeBinary),
    _one_of("state", SubtaskState),
)
"""`position` is the place in the plan; `title` is what people read."""

shards = Table(
    "shards",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("subtask_id", Text, primary_key=True),
    Column("shard_index", Integer, primary_key=True, autoincrement=False),
    _text("state", default=None),
    _text("reason"),
    Column("piece", LargeBinary, nullable=False),
    ForeignKeyConstraint(["run_id", "subtask_id"], ["subtasks.run_id", "subtasks.id"], ondelete="CASCADE"),
    _one_of("state", ShardState),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Text, primary_key=True),
    _text("run_id", default=None),
    _text("subtask_id", default=None),
    Column("shard_index", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    _text("state", default=None),
    _text("worker"),
    _text("reason"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("outcome", LargeBinary),
    _text("cache_key"),
    _text("environment"),
    ForeignKeyConstraint(
        ["run_id", "subtask_id", "shard_index"],
        ["shards.run_id", "shards.subtask_id", "shards.shard_index"],
        ondelete="CASCADE",
    ),
    UniqueConstraint("run_id", "subtask_id", "shard_index", "number"),
    _one_of("state", AttemptState),
)
"""A successful one with a `cache_key` may serve for equal work in an equal `environment`."""
Index("ix_attempts_cache_key", attempts.c.cache_key, sqlite_where=_KEYED, postgresql_where=_KEYED)

events = Table(
    "events",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    _text("kind", default=None),
    Column("payload", LargeBinary, nullable=False),
    Column("term", BigInteger, nullable=False, server_default="0"),
)
"""What changed, in order, without holes: `seq` counts from 1 within a run; `term` is that of the lease."""

worker_nodes = Table(
    "worker_nodes",
    metadata,
    Column("id", Text, primary_key=True),
    _text("vm_url", default=None),
    _text("status", default=None),
    _count("total_tasks"),
    Column("last_ping", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    _text("name"),
    _count("slots"),
    _text("tier"),
    Column("labels", LargeBinary, nullable=False),
    Column("local", Boolean, nullable=False, server_default=false()),
    _text("reason"),
    UniqueConstraint("vm_url"),
    _one_of("status", WorkerStatus),
)
Index(None, worker_nodes.c.name)

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime, nullable=False),
)
Index(None, blobs.c.last_used_at)

model_calls = Table(
    "model_calls",
    metadata,
    Column("id", Text, primary_key=True),
    _text("run_id", default=None),
    Column("position", BigInteger, nullable=False),
    _text("subtask_id"),
    _text("purpose", default=None),
    _text("model", default=None),
    _text("state", default=None),
    Column("tokens", BigInteger, nullable=False),
    Column("cost_usd", Double),
    Column("usage", LargeBinary),
    _text("reason"),
    Column("created_at", UtcDateTime, nullable=False),
    _one_of("state", get_args(CallState)),
)
"""What runs asked of language models, in order of `position`; `tokens` and `cost_usd` were set aside for it.

No foreign key: calls that make a run's plan are charged before the run is stored.
"""
Index(None, model_calls.c.run_id, model_calls.c.position)

model_answers = Table(
    "model_answers",
    metadata,
    Column("key", Text, primary_key=True),
    _text("model", default=None),
    _text("text", default=None),
    Column("usage", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime, nullable=False),
)
"""What models answered, by the hash of what was asked; `last_used_at` is right to about a day."""


def task_history_ddl(schema: str | None = None) -> str:
    """The view of what every worker did: one row per attempt. Where there are schemas, it shows no more
    than its reader may read in the tables."""
    prefix, reader = (f"{schema}.", "WITH (security_invoker = true) ") if schema else ("", "")
    return (
        f"CREATE VIEW {prefix}task_history {reader}AS "
        "SELECT a.id AS id, a.run_id AS run_id, a.worker AS worker, s.title AS description, "
        "a.state AS status, a.created_at AS created_at, a.finished_at AS completed_at "
        f"FROM {prefix}attempts AS a "
        f"JOIN {prefix}subtasks AS s ON s.run_id = a.run_id AND s.id = a.subtask_id"
    )
