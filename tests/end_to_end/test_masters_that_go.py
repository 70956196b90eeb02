"""Masters that are killed, stopped or paused in mid-run: another one goes on, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.master_process import MasterProcess
from tests.support.nadg_folder import Folder, ended, read_until

LEASE_SECONDS = "2.5"
PLAN = """
goal: four numbers and their sum
subtasks:
  - id: quick
    work: {kind: python, code: "open('made.txt', 'w').write('kept'); result = 7"}
  - id: slow
    needs: [quick]
    foreach: {items: [1, 2, 3, 4], shard_size: 1}
    work: {kind: python, code: "import time\\nfor _ in range(10): time.sleep(0.1)\\nresult = item"}
  - id: total
    needs: [quick, slow]
    work: {kind: python, code: "result = needs['quick'] + sum(needs['slow'])"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path, tmp_path / "home")
    folder.environment["NADG_LEASE_SECONDS"] = LEASE_SECONDS
    yield folder
    folder.close()


@pytest.fixture
def start_master(folder: Folder) -> Iterator[Callable[..., MasterProcess]]:
    """Masters of the folder's home; what a failed test leaves behind is ended."""
    started: list[MasterProcess] = []

    def start(port: int = 0, workers: int = 1) -> MasterProcess:
        started.append(MasterProcess(folder.environment, folder.path / "home", port=port, workers=workers))
        return started[-1]

    yield start
    for master in started:
        if master.process.poll() is None:
            master.kill()


def check_whole(folder: Folder, master: MasterProcess, out: str) -> None:
    """The answer is the undisturbed run's, nothing was stored twice, and the terms never fall."""
    document = json.loads((folder.path / out / "run.json").read_text())
    assert (document["state"], document["subtasks"][2]["result"]) == ("succeeded", 17)
    assert (folder.path / out / "artifacts" / "quick" / "made.txt").read_text() == "kept"
    events = master.ask("GET", f"/v1/runs/{document['id']}/events").document["events"]
    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    terms = [one["term"] for one in events]
    assert terms == sorted(terms)
    assert len(set(terms)) > 1, "it changed hands"
    done = [
        one["change"]["attempt_id"]
        for one in events
        if one["change"].get("state") == "succeeded" and one["change"]["change"] == "attempt"
    ]
    assert len(done) == len(set(done)) == 6
    assert len({one.rpartition("/")[0] for one in done}) == 6, "one outcome for each shard"


def test_a_run_goes_on_when_its_masters_are_killed_and_stopped(
    folder: Folder, start_master: Callable[..., MasterProcess]
) -> None:
    """The client waits for whoever comes up at the address of the first one."""
    first = start_master()
    folder.environment["NADG_MASTER_URL"] = first.url
    run = folder.start("run", "--plan", folder.plan(PLAN), "--out", "here")
    read_until(run.stderr, r"^▸ slow")
    first.kill()
    second = start_master(first.port)
    second.wait_until_told("Going on with run")
    assert second.stop() == 0
    assert re.search(r"Run (\S+) was given up as it stands; .* \(or: nadg runs resume \1\)\.\n", second.told)
    assert "Stopping: runs are given up" in second.told
    third = start_master(first.port)
    try:
        code, out, err = ended(run)
        assert (code, "**17**" in out) == (0, True), err
        assert err.count("cannot be reached") == err.count("answers again") >= 1
        check_whole(folder, third, "here")
    finally:
        assert third.stop() == 0
    assert third.told.count("Going on with run") == third.told.count("ended: succeeded.") == 1


def test_a_local_run_that_was_paused_past_its_lease_follows_whoever_took_it_over(
    folder: Folder, start_master: Callable[..., MasterProcess]
) -> None:
    master = start_master()
    try:
        run = folder.start("run", "--plan", folder.plan(PLAN), "--out", "here")
        read_until(run.stderr, r"^▸ slow")
        os.kill(run.pid, signal.SIGSTOP)
        master.wait_until_told("Going on with run")
        os.kill(run.pid, signal.SIGCONT)
        code, out, err = ended(run)
        assert (code, "**17**" in out) == (0, True), err
        assert err.count("Another master took run") == 1
        assert err.count("✓ total: succeeded") == 1
        assert "✓ quick: succeeded" not in err, "what was told before is not told again"
        check_whole(folder, master, "here")
    finally:
        assert master.stop() == 0


def test_what_a_paused_masters_own_worker_has_is_handed_to_the_one_that_takes_over(
    folder: Folder, start_master: Callable[..., MasterProcess]
) -> None:
    """Though that one lives and has its worker in its own keeping, and the other has none."""
    first, second = start_master(), start_master(workers=0)
    work = {"kind": "python", "code": "import time\ntime.sleep(4)\nresult = 17"}
    run_id = first.post("/v1/runs", {"plan": {"subtasks": [{"id": "slow", "work": work}]}}).document["id"]
    _changes_until(first, run_id, "attempt", "running")
    os.kill(first.process.pid, signal.SIGSTOP)
    try:
        second.wait_until_told("Going on with run")
        changes = _changes_until(second, run_id, "run", "succeeded", "failed")
        states = [one["state"] for one in changes if one["change"] == "attempt"]
        assert states == ["running", "succeeded"]
    finally:
        os.kill(first.process.pid, signal.SIGCONT)
    assert (second.stop(), first.stop()) == (0, 0)


def _changes_until(master: MasterProcess, run_id: str, kind: str, *states: str) -> list[dict[str, Any]]:
    """All changes of the run, once there is such a one."""
    changes: list[dict[str, Any]] = []
    while not any(one["change"] == kind and one.get("state") in states for one in changes):
        path = f"/v1/runs/{run_id}/events?after={len(changes)}&wait=20"
        changes += [one["change"] for one in master.ask("GET", path).document["events"]]
    return changes
