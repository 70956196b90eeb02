"""Every statement that runs often finds its rows by an index."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy import ClauseElement, select

from nadg.domain.states import RunState
from nadg.store import (
    SqlStore,
    blobs,
    dialect,
    leases,
    model_answers,
    model_calls,
    plan_edits,
    progress,
    reuse,
    run_records,
    runs,
    workers,
)
from nadg.store.tables import metadata

RARE = {"_SAME_START", "_ALL", "_BY_ANY"}
"""For people, over small tables."""
SORTS_FEW = {
    "nadg.store.progress._COUNT_TASKS",
    "nadg.store.run_records._SUBTASKS",
    "nadg.store.run_records._UNOWNED",
    "nadg.store.reuse._REUSABLE",
}
"""Workers of one name, subtasks of one plan, runs that go on: fetched by an index, then put in order."""

MODULES = (progress, plan_edits, leases, run_records, reuse, runs, blobs, workers, model_calls, model_answers)
STATEMENTS = {
    f"{module.__name__}.{name}": statement
    for module in (
        progress,
        plan_edits,
        leases,
        run_records,
        reuse,
        runs,
        blobs,
        workers,
        model_calls,
        model_answers,
    )
    for name, statement in vars(module).items()
    if isinstance(statement, ClauseElement)
    and type(statement).__name__ in ("Select", "Update", "Delete")
    and name not in RARE
} | {
    "some states": run_records._SUMMARIES.where(metadata.tables["runs"].c.state == str(RunState.RUNNING)),
    **{
        f"all of a run in {name}": select(metadata.tables[name]).where(metadata.tables[name].c.run_id == "x")
        for name in ("model_calls", "events", "attempts", "shards", "subtasks")
    },
}


@pytest.fixture
def details(
    database: Path, opened: Callable[[], AbstractAsyncContextManager[SqlStore]]
) -> Iterator[Callable[[ClauseElement], list[str]]]:
    """How the database would carry a statement out."""

    async def make() -> None:
        async with opened():
            pass

    asyncio.run(make())
    engine = dialect.locate(database).open_reader(1, 1)

    def details(statement: ClauseElement) -> list[str]:
        sql = re.sub(r"__\[POSTCOMPILE_\w+\]", "?, ?", str(statement.compile(engine)))
        with engine.connect() as connection:
            blanks = (None,) * sql.count("?")
            return [row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, blanks)]

    yield details
    engine.dispose()


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_no_statement_reads_a_whole_table(details: Callable[[ClauseElement], list[str]], name: str) -> None:
    found = details(STATEMENTS[name])
    assert found
    assert not [step for step in found if "SCAN" in step and "USING" not in step]
    assert name in SORTS_FEW or not [step for step in found if "TEMP B-TREE" in step]


def test_a_statement_without_an_index_is_noticed(details: Callable[[ClauseElement], list[str]]) -> None:
    by_text = select(metadata.tables["attempts"]).where(metadata.tables["attempts"].c.reason == "x")
    assert "SCAN attempts" in details(by_text)
