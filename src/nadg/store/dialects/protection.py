"""Who may see the tables in PostgreSQL: their owner and Supabase's `service_role`; nobody by Supabase's web API.

Row level security is on and no policy exists, so that a right given by mistake still shows no row. All
statements may be run again. Roles are named only where they exist, for `anon` and the others are Supabase's.
"""

from __future__ import annotations

from collections.abc import Iterable

STRANGERS = ("anon", "authenticated")
"""Whom Supabase's web API speaks for."""
SERVANT = "service_role"
"""Who holds the project's secret key."""


def protection_sql(schema: str, tables: Iterable[str]) -> list[str]:
    """The statements, in order."""
    hidden = [f"ALTER TABLE {schema}.{table} ENABLE ROW LEVEL SECURITY" for table in tables]
    strangers = [_where_it_exists(role, _withdrawn(schema, role)) for role in STRANGERS]
    return [
        *hidden,
        *_withdrawn(schema, "PUBLIC"),
        *strangers,
        _where_it_exists(SERVANT, _granted(schema, SERVANT)),
    ]


def _withdrawn(schema: str, role: str) -> list[str]:
    """Every right, on what there is and on what is still to come."""
    there = [f"REVOKE ALL ON ALL {kind} IN SCHEMA {schema} FROM {role}" for kind in ("TABLES", "SEQUENCES")]
    to_come = [
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE ALL ON {kind} FROM {role}"
        for kind in ("TABLES", "SEQUENCES")
    ]
    return [f"REVOKE ALL ON SCHEMA {schema} FROM {role}", *there, *to_come]


def _granted(schema: str, role: str) -> list[str]:
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT ALL ON TABLES TO {role}",
    ]


def _where_it_exists(role: str, statements: Iterable[str]) -> str:
    """All of them in one, which does nothing on a server without the role."""
    body = " ".join(f"{statement};" for statement in statements)
    return (
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}') "
        f"THEN {body} END IF; END $$"
    )
