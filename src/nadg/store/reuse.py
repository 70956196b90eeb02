"""Outcomes that may serve again: equal work, by its cache key, in an equal environment."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, literal_column, select

from nadg.domain.states import AttemptState
from nadg.store import codec
from nadg.store.api import ReusableOutcome
from nadg.store.tables import attempts

ASKED_AT_ONCE = 500
"""Keys in one query: databases bound the number of parameters."""

_REUSABLE = (
    select(attempts.c.cache_key, attempts.c.id, attempts.c.outcome)
    .where(
        attempts.c.cache_key.in_(bindparam("b_keys", expanding=True)),
        attempts.c.cache_key != literal_column("''"),  # written out, or the index would not serve
        attempts.c.environment.in_(bindparam("b_environments", expanding=True)),
        attempts.c.state == str(AttemptState.SUCCEEDED),
    )
    .order_by(attempts.c.finished_at)
)


def read_reusable(
    connection: Connection, keys: Sequence[str], environments: Collection[str]
) -> dict[str, ReusableOutcome]:
    """By key; of several the newest."""
    newest = {}
    if environments:
        for first in range(0, len(keys), ASKED_AT_ONCE):
            some = list(keys[first : first + ASKED_AT_ONCE])
            key = {"b_keys": some, "b_environments": sorted(environments)}
            for row in connection.execute(_REUSABLE, key):
                newest[row.cache_key] = row
    return {
        key: ReusableOutcome(attempt_id=row.id, outcome=codec.decode_outcome(row.outcome))
        for key, row in newest.items()
    }
