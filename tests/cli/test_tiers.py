"""Sandbox tiers from end to end: real workers of a known tier, and what plans, runs and the settings demand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from nadg.cli.commands.run import tier_of_run
from nadg.cli.main import run_command_line
from nadg.domain.errors import UserError
from nadg.domain.tier import Tier, strongest
from nadg.sandbox import Policy
from tests.support.nadg_folder import Folder
from tests.support.worker_process import WorkerProcess, start_worker

__all__ = ["start_worker"]

ONE = 'subtasks: [{id: one, work: {kind: python, code: "result = 1"}}]'
STRONG = """
subtasks:
  - {id: easy, work: {kind: python, code: "result = 1"}}
  - {id: strong, min_sandbox: namespaces, work: {kind: python, code: "result = 2"}}
"""
UNCONFINED = 'subtasks: [{id: one, min_sandbox: none, work: {kind: python, code: "result = 1"}}]'

OpenWith = Callable[..., tuple[Folder, WorkerProcess]]


@pytest.fixture
def open_with(tmp_path: Path, start_worker: Any) -> OpenWith:
    """A folder of its own whose runs use one worker of this tier."""

    def start(tier: Tier, **settings: str) -> tuple[Folder, WorkerProcess]:
        policy = Policy(tier=tier, allow_none=tier is Tier.NONE, zygotes={"lean": ()})
        worker = start_worker(f"w-{tier}", policy=policy)
        folder = Folder(tmp_path, tmp_path / "home")
        folder.environment |= {"NADG_WORKER_URLS": worker.url, "NADG_WORKER_TOKEN": worker.token, **settings}
        return folder, worker

    return start


def no_runs(folder: Folder) -> bool:
    return bool(json.loads(folder.ask("runs", "list", "--json").stdout) == [])


def receipts(document: dict[str, Any]) -> list[str]:
    shards = [shard for subtask in document["subtasks"] for shard in subtask["shards"]]
    return [attempt["sandbox_tier"] for shard in shards for attempt in shard["attempts"]]


def test_the_tier_is_told_in_status_registry_hello_and_receipts(open_with: OpenWith) -> None:
    folder, worker = open_with(Tier.LANDLOCK)
    assert httpx.get(worker.url + "/status").json()["sandbox"]["tier"] == "landlock"
    assert "sandbox:  landlock" in folder.ask("workers", "test", worker.url).stdout
    assert folder.ask("workers", "add", worker.url).returncode == 0
    done = folder.nadg("run", "--plan", folder.plan(ONE), "--json")
    document = json.loads(done.stdout)
    assert (document["state"], receipts(document)) == ("succeeded", ["landlock"]), done.stderr
    assert "landlock" in folder.ask("runs", "show", document["id"]).stdout
    listed = json.loads(folder.ask("workers", "list", "--json").stdout)
    assert [one["tier"] for one in listed] == ["landlock"]
    assert " landlock " in folder.ask("workers", "list").stdout


@pytest.mark.parametrize(
    ("plan", "options", "settings", "mend"),
    [
        (STRONG, (), {}, "or lower min_sandbox in the plan"),
        (ONE, ("--min-sandbox", "namespaces"), {}, "or give a lower --min-sandbox"),
        (ONE, (), {"NADG_MIN_SANDBOX": "namespaces"}, "or set NADG_MIN_SANDBOX (it is namespaces) lower"),
        (UNCONFINED, (), {"NADG_MIN_SANDBOX": "namespaces"}, "or set NADG_MIN_SANDBOX (it is namespaces) lower"),
        (ONE, ("--min-sandbox", "landlock"), {"NADG_MIN_SANDBOX": "namespaces"}, "(it is namespaces)"),
    ],
)
def test_a_run_that_no_worker_isolates_well_enough_does_not_start(
    open_with: OpenWith, plan: str, options: tuple[str, ...], settings: dict[str, str], mend: str
) -> None:
    folder, _ = open_with(Tier.LANDLOCK, **settings)
    said = folder.refused("run", "--plan", folder.plan(plan), "--quiet", *options)
    subtask = "strong" if plan is STRONG else "one"
    assert (
        f"subtask {subtask} cannot run: sandbox tier namespaces is wanted, and w-landlock offers landlock" in said
    )
    assert (mend in said, "`nadg worker doctor`" in said, said.count("\n")) == (True, True, 1)
    assert no_runs(folder)


def test_an_unconfined_worker_gets_no_work_unless_the_settings_say_none(open_with: OpenWith) -> None:
    folder, _ = open_with(Tier.NONE)
    for plan, options in ((ONE, ()), (UNCONFINED, ())):
        said = folder.refused("run", "--plan", folder.plan(plan), "--quiet", *options)
        assert "sandbox tier landlock is wanted, and w-none offers none" in said
        assert "set NADG_MIN_SANDBOX (it is landlock) lower, which runs code unconfined" in said
    asked = folder.refused("run", "--plan", folder.plan(ONE), "--quiet", "--min-sandbox", "none")
    assert "set NADG_MIN_SANDBOX=none to accept workers that isolate nothing" in asked
    assert no_runs(folder)
    folder.environment["NADG_MIN_SANDBOX"] = "none"
    done = folder.nadg("run", "--plan", folder.plan(ONE), "--json")
    assert receipts(json.loads(done.stdout)) == ["none"], done.stderr
    again = folder.refused("run", "--plan", folder.plan(ONE), "--quiet", "--min-sandbox", "landlock")
    assert "or give a lower --min-sandbox" in again


def test_what_asks_for_less_than_the_settings_runs_with_what_they_demand(open_with: OpenWith) -> None:
    folder, _ = open_with(Tier.LANDLOCK)
    done = folder.nadg("run", "--plan", folder.plan(UNCONFINED), "--json")
    assert receipts(json.loads(done.stdout)) == ["landlock"], done.stderr


def test_an_option_that_asks_for_less_is_told_what_stays(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NADG_HOME", str(tmp_path))
    monkeypatch.setenv("NADG_MIN_SANDBOX", "namespaces")
    arguments = ["run", "x", "--input", str(tmp_path / "none.csv"), "--min-sandbox"]
    assert run_command_line([*arguments, "landlock"]) == 2
    assert "--min-sandbox landlock: NADG_MIN_SANDBOX demands namespaces, which stays" in capsys.readouterr().err
    assert run_command_line([*arguments, "namespaces"]) == 2
    assert "stays" not in capsys.readouterr().err


def test_the_strongest_of_three_counts_and_an_option_never_switches_isolation_off() -> None:
    assert strongest(Tier.LANDLOCK, None, Tier.NAMESPACES) is Tier.NAMESPACES
    assert strongest(None) is Tier.NONE
    for policy in Tier:
        for asked in (None, *Tier):
            if asked is Tier.NONE and policy is not Tier.NONE:
                with pytest.raises(UserError, match="NADG_MIN_SANDBOX=none"):
                    tier_of_run(asked, policy)
            else:
                tier = tier_of_run(asked, policy)
                assert tier.satisfies(policy)
                assert tier in (asked, policy)
