"""Who waits for events is woken by them; who asks a master that is not ready, or in trouble, is told so."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nadg.api.app import Front
from nadg.api.bell import Bell
from nadg.api.routes import parts, runs
from nadg.api.service import MasterParts
from nadg.domain.changes import RunChanged
from nadg.domain.clock import SystemClock
from nadg.domain.errors import StoreUnavailable
from nadg.domain.master_api import CancelAnswer, DatabaseHealth, EventPage, Health, Submission
from nadg.domain.plan import Plan
from nadg.domain.run import NewRun
from nadg.domain.states import RunState
from nadg.link.blobfolder import BlobFolder
from nadg.store import SqlStore, StoredEvent, StoreTrouble, open_store
from tests.support.master_process import MasterProcess

PLAN = Plan.model_validate({"subtasks": [{"id": "a", "work": {"kind": "python", "code": "result = 1"}}]})
LONG = 60.0
TROUBLE = StoreTrouble(
    since=datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC), reason="it is locked", tries=4
)
WELL = {"reachable": True, "reason": "", "since": None, "tries": 0}
ILL = {"reachable": False, "reason": "it is locked", "since": "2026-01-31T12:00:00Z", "tries": 4}


class Idle:
    """A RunService that does nothing."""

    async def submit(self, submission: Submission) -> str:
        return submission.id

    def call_off(self, run_id: str) -> bool:
        return False

    async def cancel(self, run_id: str, reason: str) -> CancelAnswer:
        return CancelAnswer(id=run_id, asked=False)

    def health(self) -> Health:
        raise NotImplementedError


def counted_looks(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Filled with a run's id whenever its events are read."""
    looks: list[str] = []
    read = store.runs.events_after

    async def counted(run_id: str, seq: int, limit: int = 1000) -> list[StoredEvent]:
        looks.append(run_id)
        return await read(run_id, seq, limit)

    monkeypatch.setattr(store.runs, "events_after", counted)
    return looks


@pytest.mark.parametrize("end", ["ring", "close"])
def test_a_follower_is_woken_and_does_not_look_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Were it not woken, it would look after a minute."""
    monkeypatch.setattr(runs, "LOOK_SECONDS", LONG)

    async def followed() -> EventPage:
        bell = Bell()
        async with open_store(tmp_path / "nadg.db", SystemClock()) as store:
            given = MasterParts(service=Idle(), store=store, blobs=BlobFolder(tmp_path), bell=bell)
            lease = await store.runs.create(NewRun(id="a", command="x", planner="file", plan=PLAN), "me", LONG)
            looks = counted_looks(store, monkeypatch)
            following = asyncio.create_task(runs.next_events("a", 0, LONG, given))
            for run_id in ("another", "a"):  # nothing of it is in store
                await asyncio.wait([following], timeout=0.2)
                bell.ring(run_id)
            done, _ = await asyncio.wait([following], timeout=0.2)
            assert (done, len(looks)) == (set(), 2)
            if end == "ring":
                await store.runs.commit(lease, [RunChanged(state=RunState.RUNNING)])
                bell.ring("a")
            else:
                bell.close()
            return await asyncio.wait_for(following, 10)

    page = asyncio.run(followed())
    assert [one.seq for one in page.events] == ([1] if end == "ring" else [])


@pytest.mark.parametrize("known", [True, False])
def test_who_looks_waits_for_less_long_where_the_master_knows_of_the_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Otherwise it might be that the answer is only slow."""
    monkeypatch.setattr(parts, "TROUBLED_SECONDS", 0.01)
    monkeypatch.setattr(parts, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(parts, "PATIENCE_SECONDS", LONG if known else 0.1)

    class Troubled(Idle):
        asked = 0

        def health(self) -> Health:
            self.asked += 1
            trouble = DatabaseHealth(reachable=not known or self.asked < 3, reason="it is away" if known else "")
            return Health(status="waiting", database=trouble, runs=0, workers={})

    async def looked() -> None:
        async with open_store(tmp_path / "nadg.db", SystemClock()) as store:
            given = MasterParts(service=Troubled(), store=store, blobs=BlobFolder(tmp_path), bell=Bell())
            await parts.looked_up(asyncio.Event().wait(), given)

    reason = "it is away" if known else "no answer for 0.1 s"
    with pytest.raises(StoreUnavailable, match=rf"^the master waits for its database \({reason}\)$"):
        asyncio.run(looked())


def test_a_master_that_is_not_ready_says_so_and_so_does_one_that_stops() -> None:
    front = Front("secret", loopback_only=True)

    async def asked() -> list[tuple[int, str, int, str]]:
        found = []
        transport = httpx.ASGITransport(app=front)
        headers = {"Authorization": "Bearer secret"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as http:
            for stage in ("at first", "in trouble", "at the end"):
                if stage == "in trouble":
                    front.waits_for(lambda: TROUBLE)
                if stage == "at the end":
                    front.shut()
                health, listed = await http.get("/health"), await http.get("/v1/runs")
                document = health.json()
                told = f"{document.pop('status')}: {document['database']}"
                found.append((health.status_code, told, listed.status_code, listed.json()["detail"][:25]))
            assert (await http.get("/v1/runs", headers={"Authorization": ""})).status_code == 401
        return found

    assert asyncio.run(asked()) == [
        (200, f"starting: {WELL}", 503, "the master is not ready y"),
        (200, f"waiting: {ILL}", 503, "the master is not ready y"),
        (503, f"stopping: {ILL}", 503, "the master is stopping; a"),
    ]


@contextlib.contextmanager
def held(database: Path) -> Iterator[None]:
    """Nobody else may write to it."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_health_tells_of_a_database_in_trouble_and_that_it_is_over(master: MasterProcess) -> None:
    run_id = master.post("/v1/runs", {"plan": PLAN.document()}).document["id"]

    def seen(status: str) -> dict[str, object]:
        """The master's own patience with followers is what is waited by."""
        while (health := master.ask("GET", "/health")).document["status"] != status:
            assert health.status == 200
            master.ask("GET", f"/v1/runs/{run_id}/events?after=1000&wait=0.5")
        database: dict[str, object] = health.document["database"]
        return database

    with held(master.home / "nadg.db"):
        database = seen("waiting")
        assert (database["reachable"], "holds the database" in str(database["reason"])) == (False, True), database
        assert database["since"] is not None
        assert master.ask("GET", "/v1/runs").status == 200, "what only reads goes on"
    assert seen("ok")["reachable"] is True
