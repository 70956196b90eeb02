"""Several masters and one registry: each has its links, and the rows say what is known best."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from nadg.bootstrap.findings import STILL_SECONDS, Findings
from nadg.domain.tier import Tier
from nadg.domain.worker import SET_BY_HAND, WorkerInfo, WorkerNode, WorkerNote, WorkerStatus
from nadg.engines.grid import WorkerView
from nadg.engines.health import MOST_SECONDS
from nadg.engines.node import NodeState

START = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)
INFO = WorkerInfo(name="w", slots=2, tier=Tier.LANDLOCK)


class Registry:
    """One row, as the store would keep it, and a clock for everyone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.row = WorkerNode(id="1", vm_url="http://w", status=WorkerStatus.OFFLINE)
        self.written: list[str] = []

    @property
    def status(self) -> str:
        return str(self.row.status)

    def look(self, findings: Findings, state: NodeState, reason: str = "", busy: int = 0, well: int = 0) -> None:
        view = WorkerView(url="http://w", state=state, reason=reason, info=INFO, in_flight=busy, ended_well=well)
        note = findings.linked(self.row, view, self.now)
        notes = [] if note is None else [note]
        moment = START + datetime.timedelta(seconds=self.now)
        for one in notes:
            self.write(one, moment)
        findings.noted(notes, moment)

    def write(self, note: WorkerNote, moment: datetime.datetime) -> None:
        if (note.status, note.reason) != (self.row.status, self.row.reason):
            self.written.append(str(note.status))
        ping = self.row.last_ping if note.info is None else moment
        self.row = msgspec.structs.replace(self.row, status=note.status, reason=note.reason, last_ping=ping)


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_a_link_that_is_gone_is_offline_at_the_next_look_with_its_reason(registry: Registry) -> None:
    master = Findings()
    registry.look(master, "ready")
    registry.now += 2
    registry.look(master, "away", "the worker closed the link")
    assert (registry.status, registry.row.reason) == (WorkerStatus.OFFLINE, "the worker closed the link")
    registry.look(master, "ready", busy=2)
    assert registry.status == "busy"


def test_a_master_with_a_link_beats_one_without(registry: Registry) -> None:
    linked, cut = Findings(), Findings()
    for _ in range(20):
        registry.look(linked, "ready")
        registry.now += 1
        registry.look(cut, "away", "cut")
        registry.now += 1
    assert registry.written == ["active"]
    for _ in range(4):
        registry.now += 2
        registry.look(cut, "away", "cut")
    assert registry.status == "offline", "the other master is gone, too"
    assert registry.written == ["active", "offline"]


def test_clocks_that_differ_do_not_matter(registry: Registry) -> None:
    registry.row = msgspec.structs.replace(
        registry.row, status=WorkerStatus.ACTIVE, last_ping=START + datetime.timedelta(days=400)
    )
    master = Findings()
    registry.look(master, "away", "cut")
    assert registry.status == "active"
    registry.now += STILL_SECONDS
    registry.look(master, "away", "cut")
    assert registry.status == "offline"


@pytest.mark.parametrize("status", [WorkerStatus.OFFLINE, WorkerStatus.DRAINING])
@pytest.mark.parametrize("state", ["ready", "draining", "quarantined", "away", "dead"])
def test_what_a_person_set_stands(registry: Registry, status: WorkerStatus, state: NodeState) -> None:
    reason = f"{SET_BY_HAND} by ann at home"
    registry.row = msgspec.structs.replace(registry.row, status=status, reason=reason)
    master = Findings()
    for _ in range(5):
        registry.look(master, state, "some reason")
        registry.now += 2
    assert (registry.row.status, registry.row.reason, registry.written) == (status, reason, [])


def test_a_quarantine_stands_against_a_mere_link_until_its_finder_ends_it(registry: Registry) -> None:
    finder, other = Findings(), Findings()
    for _ in range(10):
        registry.look(finder, "quarantined", "until 12:00")
        registry.look(other, "ready", busy=2)
        registry.now += 2
    assert registry.written == ["quarantined"]
    registry.look(finder, "ready")
    assert registry.status == "active"


def test_a_good_end_is_better_knowledge_than_anothers_quarantine(registry: Registry) -> None:
    finder, other = Findings(), Findings()
    registry.look(finder, "quarantined", "until 12:00")
    registry.look(other, "ready", well=7)
    assert registry.status == "quarantined", "those ended before"
    registry.look(other, "ready", well=8)
    assert registry.status == "active"


def test_a_quarantine_whose_finder_is_gone_does_not_stand_for_ever(registry: Registry) -> None:
    registry.look(Findings(), "quarantined", "until 12:00")
    other = Findings()
    registry.look(other, "ready")
    registry.now += MOST_SECONDS
    registry.look(other, "ready")
    assert registry.status == "active"


def test_two_that_quarantine_do_not_take_turns(registry: Registry) -> None:
    one, other = Findings(), Findings()
    for _ in range(10):
        registry.look(one, "quarantined", "until 12:00")
        registry.look(other, "quarantined", "until 12:07")
        registry.now += 2
    assert registry.written == ["quarantined"]


def test_a_busy_worker_is_not_active_because_another_master_has_nothing_there(registry: Registry) -> None:
    one, other = Findings(), Findings()
    for _ in range(4):
        registry.look(one, "ready", busy=2)
        registry.look(other, "ready")
        registry.now += 2
    assert registry.written == ["busy"]
    for _ in range(8):
        registry.look(other, "ready")
        registry.now += 2
    assert registry.status == "active"
