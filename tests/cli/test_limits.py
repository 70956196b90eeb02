"""Limits from end to end: the settings' defaults, the plan's own, and what a worker's owner allows."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from nadg.bootstrap.grid import open_grid
from nadg.bootstrap.home import Home
from nadg.bootstrap.local import create_launches
from nadg.bootstrap.planning import open_planner
from nadg.cli.main import run_command_line
from nadg.domain.limits import Limits
from nadg.domain.outcome import OutcomeKind
from nadg.sandbox import Policy
from nadg.sandbox.policy import GENEROUS
from nadg.settings import Settings
from nadg.worker.settings import read_settings
from nadg.worker.work import cap_notes
from tests.support.nadg_folder import Folder
from tests.support.worker_process import start_worker

__all__ = ["start_worker"]

PLAN = """
subtasks:
  - {id: usual, on_failure: continue, work: {kind: python, code: "bytearray(400 << 20); result = 1"}}
  - id: asks
    on_failure: continue
    limits: {memory_megabytes: 8192}
    work: {kind: python, code: "bytearray(300 << 20); result = 1"}
  - id: modest
    limits: {output_bytes: 10}
    on_failure: continue
    work: {kind: python, code: "print('x' * 100)"}
  - {id: fine, work: {kind: python, code: "result = 1"}}
"""


@pytest.fixture
def folder(tmp_path: Path, start_worker: Any) -> Folder:
    """A folder whose runs use one worker that allows 600 MiB of memory."""
    worker = start_worker("w", policy=Policy(zygotes={"lean": ()}, caps=replace(GENEROUS, memory_megabytes=600)))
    assert httpx.get(worker.url + "/status").json()["limit_caps"]["memory_megabytes"] == 600
    folder = Folder(tmp_path, tmp_path / "home")
    folder.environment |= {"NADG_WORKER_URLS": worker.url, "NADG_WORKER_TOKEN": worker.token}
    return folder


def ran(folder: Folder, plan: str) -> dict[str, dict[str, Any]]:
    """Each subtask's one attempt, after a run in which each runs: what it gave before says nothing of limits."""
    done = folder.nadg("run", "--plan", folder.plan(plan), "--json", "--no-cache")
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    return {one["id"]: one["shards"][0]["attempts"][0] for one in document["subtasks"]}


def test_defaults_fill_what_a_plan_leaves_out_and_caps_cut_what_it_asks_for(folder: Folder) -> None:
    attempts = ran(folder, PLAN)
    assert attempts["usual"]["state"] == "succeeded", attempts["usual"]["reason"]
    assert attempts["usual"]["notes"] == []
    assert attempts["asks"]["state"] == "succeeded", attempts["asks"]["reason"]
    assert attempts["asks"]["notes"] == ["memory_megabytes: 8192 asked, 600 allowed by this worker"]
    assert attempts["modest"]["reason"] == "output limit of 10 bytes reached"
    shown = folder.ask("runs", "show", json.loads(folder.ask("runs", "list", "--json").stdout)[0]["id"])
    assert "Note: asks: memory_megabytes: 8192 asked, 600 allowed by this worker" in shown.stdout
    folder.environment["NADG_DEFAULT_LIMITS"] = "memory_megabytes=200, output_bytes=5"
    attempts = ran(folder, PLAN)
    assert attempts["usual"]["reason"] == "memory limit of 200 MiB reached"
    assert attempts["asks"]["state"] == "succeeded", "what a plan sets, the defaults leave"
    assert attempts["modest"]["reason"] == "output limit of 10 bytes reached"
    assert attempts["fine"]["state"] == "succeeded"


def test_a_capped_limit_that_is_broken_is_named_with_its_own_value(folder: Folder) -> None:
    attempt = ran(folder, PLAN.replace("300 << 20", "900 << 20"))["asks"]
    assert attempt["reason"] == "memory limit of 600 MiB reached"
    assert attempt["notes"] == ["memory_megabytes: 8192 asked, 600 allowed by this worker"]


@pytest.mark.parametrize("kind", ["succeeded", "limit"])
def test_cuts_of_usual_limits_are_told_only_where_they_mattered(kind: OutcomeKind) -> None:
    caps = replace(GENEROUS, wall_seconds=60)
    usual = cap_notes(Limits(), caps, kind)
    assert usual == (("wall_seconds: 300 asked, 60 allowed by this worker",) if kind == "limit" else ())
    assert cap_notes(Limits(wall_seconds=400.5), caps, kind) == (
        "wall_seconds: 400.5 asked, 60 allowed by this worker",
    )
    assert cap_notes(Limits(), GENEROUS, kind) == ()


def test_plans_made_from_words_have_the_defaults_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "cars.csv").write_text("name,speed\na,1\nb,2\n")
    settings = Settings(home=tmp_path / "home", workers=0, default_limits=(("threads", 9),))

    async def planned(defaults: bool) -> set[int]:
        opening = open_grid(settings) if defaults else open_planner(settings)
        async with opening as desk:
            made = await desk.plan("Describe the columns", None, [tmp_path / "cars.csv"])
        return {one.limits.threads for one in made.plan.subtasks}

    assert asyncio.run(planned(True)) == {9}
    assert asyncio.run(planned(False)) == {Limits().threads}, "a plan that is only shown keeps to itself"


def test_local_workers_have_the_caps_of_the_settings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, limit_caps=(("threads", 7),))
    launch = create_launches(settings, Home(settings), 1)[0]
    assert read_settings(launch.settings).policy.caps == replace(GENEROUS, threads=7)


@pytest.mark.parametrize("name", ["NADG_DEFAULT_LIMITS", "NADG_LIMIT_CAPS"])
def test_an_unfit_limit_in_the_settings_is_one_sentence(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NADG_HOME", str(tmp_path))
    monkeypatch.setenv(name, "threads=9000")
    assert run_command_line(["run", "x"]) == 2
    expected = (
        f"nadg: {name}: threads='9000' does not fit; give a whole number from 1 to 4,096; see docs/SETTINGS.md\n"
    )
    assert capsys.readouterr().err == expected


def test_an_unfit_limit_of_a_worker_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NADG_HOME", str(tmp_path))
    assert run_command_line(["worker", "--port", "0", "--limit", "memory=5"]) == 2
    text = capsys.readouterr().err
    assert "nadg: --limit: there is no limit 'memory'; the limits are wall_seconds, " in text
    assert "Traceback" not in text


def test_the_options_of_a_worker_win_over_the_settings(tmp_path: Path) -> None:
    folder = Folder(tmp_path, tmp_path / "home")
    folder.environment["NADG_LIMIT_CAPS"] = "threads=7, open_files=99"
    worker = folder.start("worker", "--port", "0", "--limit", "threads=5", "--limit", "wall_seconds=9")
    try:
        assert worker.stdout is not None
        url = json.loads(worker.stdout.readline())["url"]
        caps = httpx.get(url + "/status").json()["limit_caps"]
        assert {"threads": 5, "open_files": 99, "wall_seconds": 9}.items() <= caps.items()
        assert caps["memory_megabytes"] == GENEROUS.memory_megabytes
    finally:
        folder.close()
