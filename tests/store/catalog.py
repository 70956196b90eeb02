"""Everything that PostgreSQL says of the schema `nadg`, to be compared."""

from __future__ import annotations

import psycopg

CATALOG = {
    "columns": (
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
        "pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
        "WHERE c.relnamespace = 'nadg'::regnamespace AND a.attnum > 0 ORDER BY 1, 2"
    ),
    "constraints": (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'nadg'::regnamespace ORDER BY 1, 2"
    ),
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'nadg' ORDER BY 1",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'nadg' ORDER BY 1",
    "rights": (
        "SELECT relname, relkind, relowner::regrole::text, relrowsecurity, relacl::text, reloptions FROM pg_class "
        "WHERE relnamespace = 'nadg'::regnamespace ORDER BY 1"
    ),
    "schema": "SELECT nspacl::text FROM pg_namespace WHERE nspname = 'nadg'",
    "policies": "SELECT count(*) FROM pg_policies WHERE schemaname = 'nadg'",
    "defaults": "SELECT defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1",
}


def catalog(url: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(url) as connection:
        return {name: connection.execute(query.encode()).fetchall() for name, query in CATALOG.items()}
