"""Many rows in one statement: each parameter travels as one array, and `unnest` makes rows of them again.

No prepared statements, no pipelines, no temporary tables, so that any pooler may stand between.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Insert,
    Integer,
    TableValuedAlias,
    Update,
    UpdateBase,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DataError
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.types import TypeEngine

from nadg.store.guards import Row

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
_BITS = ((BigInteger, 63), (Integer, 31))
_Process = Callable[[Any], Any] | None


def execute_many(connection: Connection, schema: str, statement: UpdateBase, rows: Sequence[Row]) -> int:
    """See `nadg.store.dialect.execute_many`. Raises ValueError on values that no column takes."""
    batch = _batch(statement, tuple(rows[0]), schema)
    return sum(batch.execute(connection, wave) for wave in _waves(rows, batch.target))


def _waves(rows: Sequence[Row], target: Sequence[str]) -> list[Sequence[Row]]:
    """The rows so that no two of one wave meet the same row of the table, each after those before it."""
    if not target:
        return [rows]
    met: dict[tuple[object, ...], int] = defaultdict(int)
    waves: list[list[Row]] = []
    for row in rows:
        key = tuple(row[name] for name in target)
        if met[key] == len(waves):
            waves.append([])
        waves[met[key]].append(row)
        met[key] += 1
    return list(waves)


class _Batch:
    """A statement made for arrays."""

    def __init__(self, sql: str, types: dict[str, TypeEngine[Any]], target: Sequence[str]) -> None:
        self.target = target
        self._sql = sql
        self._processes = {name: _process(type_) for name, type_ in types.items()}

    def execute(self, connection: Connection, rows: Sequence[Row]) -> int:
        arrays: dict[str, list[Any]] = {}
        for name, process in self._processes.items():
            values: list[Any] = [row[name] for row in rows]
            arrays[name] = values if process is None else [process(value) for value in values]
        try:
            return connection.exec_driver_sql(self._sql, arrays).rowcount
        except DataError as error:
            raise ValueError(f"a value cannot be stored: {error.orig}") from error


@functools.cache
def _batch(statement: UpdateBase, names: tuple[str, ...], schema: str) -> _Batch:
    """Compiled once for each statement and set of names."""
    if isinstance(statement, Insert):
        types: dict[str, TypeEngine[Any]] = {name: statement.table.c[name].type for name in names}
        given = _rows(types)
        many: UpdateBase = statement.from_select(list(names), select(*(given.c[name] for name in names)))
        return _Batch(_text(many, schema), types, ())
    assert isinstance(statement, Update), "rows are added or changed in batches"
    compiled = statement.compile(dialect=_DIALECT)
    assert isinstance(compiled, SQLCompiler)
    assert set(compiled.binds) <= set(names), "every value of the statement stands in the rows"
    types = {name: bound.type for name, bound in compiled.binds.items()}
    given = _rows(types)

    def replace(element: object, **_: object) -> ColumnElement[Any] | None:
        return given.c[element.key] if isinstance(element, BindParameter) else None

    changed = visitors.replacement_traverse(statement, {}, replace)
    assert isinstance(changed, Update)
    return _Batch(_text(changed, schema), types, _target(statement))


def _rows(types: dict[str, TypeEngine[Any]]) -> TableValuedAlias:
    """The arrays as a table."""
    arrays = (bindparam(name, type_=ARRAY(type_)) for name, type_ in types.items())
    columns = (column(name, type_) for name, type_ in types.items())
    return func.unnest(*arrays).table_valued(*columns).render_derived()


def _text(statement: UpdateBase, schema: str) -> str:
    """The SQL, with every array in the driver's binary form: bytes need no escapes."""
    compiled = statement.compile(
        dialect=_DIALECT, schema_translate_map={None: schema}, render_schema_translate=True
    )
    return str(compiled).replace(")s::", ")b::")


def _target(statement: Update) -> tuple[str, ...]:
    """The parameters that the statement finds its row by: those compared with columns of the primary key."""
    assert statement.whereclause is not None, "a batch never changes a whole table"
    equal = (
        part
        for part in visitors.iterate(statement.whereclause)
        if isinstance(part, BinaryExpression) and part.operator is operators.eq
    )
    found = tuple(
        part.right.key
        for part in equal
        if isinstance(part.left, Column) and part.left.primary_key and isinstance(part.right, BindParameter)
    )
    assert found, "a batch names the row of each of its moves"
    return found


def _process(type_: TypeEngine[Any]) -> _Process:
    """How a single value is made ready for the driver."""
    bits = next((bits for kind, bits in _BITS if isinstance(type_, kind)), 0)
    if bits:
        return functools.partial(_checked, limit=1 << bits)
    return type_.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _checked(value: int | None, limit: int) -> int | None:
    if value is not None and not -limit <= value < limit:
        raise OverflowError(f"{value} is too large to be stored")
    return value
