"""Who wrote an event, what a run goes back to, which outcomes may serve again, and more states of workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("runs", sa.Column("parent", sa.Text(), server_default="", nullable=False))
    op.create_index("ix_runs_finished_at", "runs", ["finished_at"], unique=False)
    op.add_column("events", sa.Column("term", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("attempts", sa.Column("cache_key", sa.Text(), server_default="", nullable=False))
    op.add_column("attempts", sa.Column("environment", sa.Text(), server_default="", nullable=False))
    keyed = sa.text("cache_key <> ''")
    op.create_index(
        "ix_attempts_cache_key",
        "attempts",
        ["cache_key"],
        unique=False,
        sqlite_where=keyed,
        postgresql_where=keyed,
    )
    with op.batch_alter_table("worker_nodes") as nodes:
        nodes.drop_constraint(op.f("ck_worker_nodes_status"), type_="check")
        nodes.create_check_constraint(
            op.f("ck_worker_nodes_status"), "status IN ('active', 'busy', 'offline', 'draining', 'quarantined')"
        )
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER VIEW task_history SET (security_invoker = true)")
