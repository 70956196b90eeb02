"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("last_used_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_blobs"),
    )
    op.create_index("ix_blobs_last_used_at", "blobs", ["last_used_at"], unique=False)
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("planner", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("options", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_term", sa.BigInteger(), nullable=False),
        sa.Column("lease_expires_at", UTC_TIME, nullable=True),
        sa.Column("last_event_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "state IN ('planned', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_runs_state")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_created_at_id", "runs", ["created_at", "id"], unique=False)
    op.create_index("ix_runs_state_created_at_id", "runs", ["state", "created_at", "id"], unique=False)
    op.create_table(
        "worker_nodes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("vm_url", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("total_tasks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_ping", UTC_TIME, nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("slots", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tier", sa.Text(), server_default="", nullable=False),
        sa.Column("labels", sa.LargeBinary(), nullable=False),
        sa.Column("local", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("status IN ('active', 'busy', 'offline')", name=op.f("ck_worker_nodes_status")),
        sa.PrimaryKeyConstraint("id", name="pk_worker_nodes"),
        sa.UniqueConstraint("vm_url", name="uq_worker_nodes_vm_url"),
    )
    op.create_index("ix_worker_nodes_name", "worker_nodes", ["name"], unique=False)
    op.create_table(
        "events",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_events_runs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_events"),
    )
    op.create_table(
        "subtasks",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("artifacts", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'preparing', 'running', 'closing', "
            "'succeeded', 'failed', 'skipped', 'cancelled')",
            name=op.f("ck_subtasks_state"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_subtasks_runs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "id", name="pk_subtasks"),
    )
    op.create_table(
        "shards",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("subtask_id", sa.Text(), nullable=False),
        sa.Column("shard_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("piece", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_shards_state")
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "subtask_id"],
            ["subtasks.run_id", "subtasks.id"],
            name="fk_shards_subtasks",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "subtask_id", "shard_index", name="pk_shards"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("subtask_id", sa.Text(), nullable=False),
        sa.Column("shard_index", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=True),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'lost', 'cancelled')",
            name=op.f("ck_attempts_state"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "subtask_id", "shard_index"],
            ["shards.run_id", "shards.subtask_id", "shards.shard_index"],
            name="fk_attempts_shards",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.UniqueConstraint("run_id", "subtask_id", "shard_index", "number", name="uq_attempts_run_id"),
    )
    op.execute(
        "CREATE VIEW task_history AS "
        "SELECT a.id AS id, a.run_id AS run_id, a.worker AS worker, s.title AS description, "
        "a.state AS status, a.created_at AS created_at, a.finished_at AS completed_at "
        "FROM attempts AS a JOIN subtasks AS s ON s.run_id = a.run_id AND s.id = a.subtask_id"
    )
