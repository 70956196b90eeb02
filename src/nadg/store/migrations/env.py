"""Runs migrations inside the transaction that the store has opened; there is no other way in."""

from __future__ import annotations

from alembic import context

from nadg.store import dialect
from nadg.store.schema import VERSION_TABLE
from nadg.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    version_table_schema=dialect.of(connection).schema,
    render_as_batch=True,
)
context.run_migrations()
