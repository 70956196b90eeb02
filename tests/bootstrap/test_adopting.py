"""Runs without a master are found, taken once, and left where their files are not; a run is followed elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from nadg.bootstrap.adopting import Adopter
from nadg.bootstrap.following import CountingWatcher, follow_run
from nadg.domain.changes import Change, RunChanged
from nadg.domain.clock import SystemClock
from nadg.domain.errors import NotFound
from nadg.domain.inputs import InputFile
from nadg.domain.plan import Plan
from nadg.domain.run import Lease, NewRun, RunRecord
from nadg.domain.states import RunState
from nadg.link.blobfolder import BlobFolder
from nadg.store import SqlStore, open_store

PLAN = Plan.model_validate({"subtasks": [{"id": "a", "work": {"kind": "python", "code": "result = 1"}}]})


class Holder:
    """Carries nothing but what it is told that it carries."""

    owner = "me"
    carried: frozenset[str] = frozenset()


class Told:
    """Keeps what happened to a run."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def run_created(self, run_id: str, plan: Plan) -> None: ...

    def changed(self, run_id: str, change: Change) -> None:
        self.changes.append(change)

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class House:
    """A store, a blob folder and an adopter."""

    def __init__(self, store: SqlStore, folder: Path) -> None:
        self.runs = store.runs
        self.blobs, self.holder = BlobFolder(folder / "blobs"), Holder()
        self.taken: list[tuple[RunRecord, Lease]] = []
        self.notices: list[str] = []
        self.able = True
        self.adopter = Adopter(
            self.runs,
            self.blobs,
            self.holder,
            take=lambda record, lease: self.taken.append((record, lease)),
            notice=self.notices.append,
            lease_seconds=60,
            able=lambda: self.able,
        )

    async def orphan(self, run_id: str, *inputs: InputFile) -> None:
        """A run that its master gave up."""
        new = NewRun(id=run_id, command="x", planner="file", plan=PLAN, inputs=inputs)
        await self.runs.release(await self.runs.create(new, "another", 60))


def in_house(folder: Path, work: Callable[[House], Coroutine[None, None, None]]) -> None:
    async def carried_out() -> None:
        async with open_store(folder / "nadg.db", SystemClock()) as store:
            await work(House(store, folder))

    asyncio.run(carried_out())


def test_a_run_without_a_master_is_taken_once(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.orphan("a")
        held = NewRun(id="held", command="x", planner="file", plan=PLAN)
        await house.runs.create(held, "another", 60)
        for _ in range(2):
            await house.adopter.look()
        ((record, lease),) = house.taken
        assert (record.id, lease.owner, lease.term) == ("a", "me", 2)

    in_house(tmp_path, work)


def test_a_master_without_workers_leaves_runs_to_others_for_as_long(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.orphan("a")
        house.able = False
        await house.adopter.look()
        assert house.taken == []
        house.able = True
        await house.adopter.look()
        assert [record.id for record, _ in house.taken] == ["a"]

    in_house(tmp_path, work)


def test_a_run_that_is_carried_here_is_left_alone_though_its_lease_ran_out(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.orphan("a")
        house.holder.carried = frozenset({"a"})
        await house.adopter.look()
        assert house.taken == []

    in_house(tmp_path, work)


def test_a_run_whose_files_are_elsewhere_is_left_and_told_of_once(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        here = house.blobs.put(b"here")
        elsewhere = BlobFolder(tmp_path / "other").put(b"elsewhere")
        for number in range(25):  # more than are looked at at once: they do not stand before the last one
            file = InputFile(name="data.csv", blob=elsewhere, kind="text")
            await house.orphan(f"far{number:02}", file)
        await house.orphan("near", InputFile(name="x", blob=here, kind="text"))
        for _ in range(3):
            await house.adopter.look()
        assert [record.id for record, _ in house.taken] == ["near"]
        assert len(house.notices) == 25
        assert house.notices[0] == (
            "Run far00 has no master, and is left to others: data.csv is not in this master's folder of files; "
            "set NADG_BLOBS to a folder that all masters share."
        )
        assert await house.runs.claim("far00", "another", 60) is not None, "nobody holds it"

    in_house(tmp_path, work)


def test_a_run_is_followed_from_where_it_was_left_to_its_end(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        lease = await house.runs.create(NewRun(id="a", command="x", planner="file", plan=PLAN), "another", 60)
        moves = [RunChanged(state=RunState.RUNNING), RunChanged(state=RunState.CANCELLED, reason="why")]
        await house.runs.commit(lease, moves[:1])
        told = Told()
        following = asyncio.create_task(follow_run(house.runs, "a", CountingWatcher(told, 1)))
        await house.runs.commit(lease, moves[1:])
        assert await following is True
        assert told.changes == moves[1:]

    in_house(tmp_path, work)


def test_following_ends_where_nobody_carries_the_run_on_or_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nadg.bootstrap.following.LOOK_SECONDS", 0)

    async def work(house: House) -> None:
        await house.orphan("a")
        assert await follow_run(house.runs, "a", CountingWatcher(Told())) is False
        with pytest.raises(NotFound):
            await follow_run(house.runs, "gone", CountingWatcher(Told()))

    in_house(tmp_path, work)
