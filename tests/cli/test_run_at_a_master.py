"""`nadg run` with a master: as if the run were its own, but it goes on without whoever typed it.

And what is asked of that master's runs and workers reads as it does in its own home.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nadg.bootstrap.remote import fresh_run_id
from nadg.domain.blob import BlobRef
from nadg.domain.clock import SystemClock
from nadg.domain.inputs import InputFile
from nadg.domain.plan import Plan
from nadg.domain.run import NewRun
from nadg.store import open_store
from tests.support.faulty_proxy import FaultyProxy
from tests.support.master_process import MasterProcess
from tests.support.nadg_folder import Folder, ended, read_until

QUICK = """
goal: count
subtasks:
  - id: made
    inputs: [rows.csv]
    foreach: {rows_of: rows.csv, shard_size: 2}
    work: {kind: python, code: "result = [int(row['n']) for row in rows]"}
  - id: total
    needs: [made]
    work: {kind: python, code: "open('made.txt', 'w').write('x' * 70_000); result = 'n' * 70_000"}
"""
SLOW = """
goal: something slow
subtasks:
  - id: slow
    work: {kind: python, code: "import time\\nfor _ in range(20): time.sleep(0.1)\\nresult = 41"}
  - id: more
    needs: [slow]
    work: {kind: python, code: "result = needs['slow'] + 1"}
"""
ENDLESS = 'subtasks: [{id: endless, work: {kind: python, code: "while True: pass"}}]'
SUBMITTED = r"^Run (\w+) goes on at http://\S+ if you leave; watch it again: nadg runs attach (\w+)$"


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MasterProcess]:
    one = MasterProcess(os.environ, tmp_path_factory.mktemp("master") / "home")
    yield one
    assert one.stop() == 0


@pytest.fixture
def folder(tmp_path: Path, master: MasterProcess) -> Iterator[Folder]:
    """With the master's home."""
    folder = Folder(tmp_path, master.home)
    folder.environment["NADG_MASTER_URL"] = master.url
    yield folder
    folder.close()


@pytest.fixture
def away(folder: Folder, master: MasterProcess) -> Folder:
    """Where nothing of the master's is known but its address and its token."""
    folder.environment |= {"NADG_HOME": str(folder.path / "other"), "NADG_MASTER_TOKEN": master.token}
    return folder


def begun(run: subprocess.Popen[str]) -> str:
    """The id of a run that a client was seen to start."""
    found = read_until(run.stderr, SUBMITTED)
    assert found[1] == found[2]
    read_until(run.stderr, r"^▸ ")
    return found[1]


def attached(folder: Folder, run_id: str) -> int:
    return folder.ask("runs", "attach", run_id[:14]).returncode


def test_from_another_home_it_gives_what_a_run_here_gives(folder: Folder, master: MasterProcess) -> None:
    (folder.path / "rows.csv").write_text("n\n1\n2\n3\n")
    folder.environment |= {"NADG_HOME": str(folder.path / "other"), "NADG_MASTER_TOKEN": master.token}
    asked = ("--input", "rows.csv", "--json", "--out", "there", "--max-retries", "7")
    done = folder.nadg("run", "--plan", folder.plan(QUICK), *asked)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads((folder.path / "there" / "run.json").read_text())
    assert (document["subtasks"][0]["result"], document["subtasks"][1]["result"]) == ([1, 2, 3], "n" * 70_000)
    assert (folder.path / "there" / "artifacts" / "total" / "made.txt").read_text() == "x" * 70_000
    assert "n" * 1_000 in (folder.path / "there" / "answer.md").read_text()
    assert re.search(SUBMITTED, done.stderr, re.M)
    assert "▸ made: made, 2 shards" in done.stderr
    assert "made  python, 1 line" in done.stderr
    assert "Traceback" not in done.stderr
    assert master.ask("GET", f"/v1/runs/{document['id']}/record").document["options"]["max_retries"] == 7


def test_a_killed_client_ends_no_run(folder: Folder) -> None:
    run = folder.start("run", "--plan", folder.plan(SLOW))
    run_id = begun(run)
    run.kill()
    ended(run)
    watched = folder.ask("runs", "attach", run_id[:14])
    assert (watched.returncode, "**42**" in watched.stdout) == (0, True), watched.stderr
    assert f"Files: nadg-out/{run_id}/" in watched.stdout
    took = re.search(r"^✓ slow: succeeded, 1 worker, (\S+) s", watched.stderr, re.M)
    assert took is not None
    assert float(took[1]) >= 2, "by the clock of the run, not of who watches"
    assert json.loads((folder.path / "nadg-out" / run_id / "run.json").read_text())["state"] == "succeeded"


def test_who_attaches_to_a_run_that_has_ended_gets_its_answer_and_files(
    away: Folder, master: MasterProcess, tmp_path: Path
) -> None:
    code = {"kind": "python", "code": "open('made.txt', 'w').write('x'); result = 41 + 1"}
    run_id = master.post("/v1/runs", {"plan": {"subtasks": [{"id": "made", "work": code}]}}).document["id"]
    there = Folder(tmp_path, master.home)
    for who, out in ((away, "away"), (there, "there")):
        watched = who.ask("runs", "attach", run_id, "--out", out)
        assert (watched.returncode, "**42**" in watched.stdout) == (0, True), watched.stderr
        assert f"Files: {out}/ (" in watched.stdout
        assert (tmp_path / out / "artifacts" / "made" / "made.txt").read_text() == "x"
    assert (tmp_path / "away" / "run.json").read_text() == (tmp_path / "there" / "run.json").read_text()
    assert "--out: the folder 'there' is not empty" in there.refused("runs", "attach", run_id, "--out", "there")


def test_a_closed_terminal_ends_no_run_and_ctrl_c_does(folder: Folder, master: MasterProcess) -> None:
    run = folder.start("run", "--plan", folder.plan(ENDLESS))
    run_id = begun(run)
    run.send_signal(signal.SIGHUP)
    code, _, err = ended(run)
    assert code == 128 + signal.SIGHUP
    assert re.search(rf"^Run {run_id} goes on at \S+; watch it again", err, re.M)
    watching = folder.start("runs", "attach", run_id)
    read_until(watching.stderr, r"^▸ ")
    watching.send_signal(signal.SIGINT)
    code, _, err = ended(watching)
    again = f"run {run_id} goes on; watch it again: nadg runs attach {run_id}"
    assert (code, err.splitlines()[-1]) == (130, f"nadg: stopped watching; {again}")
    assert json.loads(folder.ask("runs", "show", run_id, "--json").stdout)["state"] == "running"
    folder.environment |= {"NADG_HOME": str(folder.path / "other"), "NADG_MASTER_TOKEN": master.token}
    assert folder.ask("runs", "cancel", run_id[:14]).stdout == f"Asked run {run_id} to end.\n"
    assert attached(folder, run_id) == 1
    run = folder.start("run", "--plan", folder.plan(ENDLESS), "--out", "here")
    run_id = begun(run)
    run.send_signal(signal.SIGINT)
    code, out, err = ended(run)
    assert (code, "Cancelling: what is done is kept" in err) == (130, True), err
    assert "This run was cancelled" in out
    saved = json.loads((folder.path / "here" / "run.json").read_text())
    assert (saved["id"], saved["state"], saved["reason"]) == (run_id, "cancelled", "cancelled by the user")


def test_a_cancel_that_the_master_never_heard_is_said_to_be_lost(folder: Folder, master: MasterProcess) -> None:
    async def left() -> tuple[str, int, str]:
        async with FaultyProxy(master.port).open() as way:
            folder.environment["NADG_MASTER_URL"] = way.url
            run = folder.start("run", "--plan", folder.plan(ENDLESS))
            run_id = await asyncio.to_thread(begun, run)
        run.send_signal(signal.SIGINT)
        await asyncio.to_thread(read_until, run.stderr, "The cancel has not reached the master yet")
        run.send_signal(signal.SIGINT)
        code, _, err = await asyncio.to_thread(ended, run)
        return run_id, code, err

    run_id, code, err = asyncio.run(left())
    assert code == 130
    lost = f"the cancel did not reach the master; run {run_id} goes on when one is up: nadg runs cancel {run_id}"
    assert err.endswith(f"nadg: {lost}\n")
    assert "Cancelling" not in err
    folder.environment["NADG_MASTER_URL"] = master.url
    assert folder.ask("runs", "cancel", run_id).stdout == f"Asked run {run_id} to end.\n"
    assert attached(folder, run_id) == 1


def test_what_is_wrong_is_one_sentence_and_exit_code_2(
    folder: Folder, master: MasterProcess, tmp_path: Path
) -> None:
    plan = folder.plan(ENDLESS)
    assert "--workers: with NADG_MASTER_URL set" in folder.refused("run", "--plan", plan, "--workers", "1")
    assert "--follow: with NADG_MASTER_URL set" in folder.refused("run", "--plan", plan, "--follow", "endless")
    assert "--review: with NADG_MASTER_URL set" in folder.refused("run", "--plan", plan, "--review")
    assert "'--max-retries': Input should be greater than" in folder.refused("run", "x", "--max-retries", "-1")
    (tmp_path / "bad.yaml").write_text("subtasks: [{id: A, work: {kind: magic}}, {id: b}]")
    assert "the plan has 3 problems:" in folder.refused("run", "--plan", "bad.yaml")
    (tmp_path / "list.yaml").write_text("[1]")
    assert "holds no mapping" in folder.refused("run", "--plan", "list.yaml")
    (tmp_path / "empty.csv").touch()
    assert "empty.csv: the file is empty" in folder.refused("run", "Summarise it", "--input", "empty.csv")
    assert "no language model is configured" in folder.refused("run", "Summarise it", "--planner", "model")
    folder.environment["NADG_MASTER_TOKEN"] = "not-the-token-of-it"
    assert "refused the token; set NADG_MASTER_TOKEN" in folder.refused("run", "--plan", plan)
    assert "refused the token" in folder.refused("runs", "attach", "x")
    del folder.environment["NADG_MASTER_TOKEN"]
    folder.environment["NADG_HOME"] = str(tmp_path / "other")
    assert "its token is not known here" in folder.refused("run", "--plan", plan)
    folder.environment |= {"NADG_MASTER_TOKEN": "x" * 20, "NADG_MASTER_URL": "http://127.0.0.1:9"}
    assert "no master answers at http://127.0.0.1:9" in folder.refused("run", "--plan", plan)
    folder.environment |= {"NADG_MASTER_TOKEN": master.token, "NADG_MASTER_URL": f"{master.url}/v1"}
    for command in (("run", "--plan", plan), ("runs", "list"), ("runs", "attach", "x")):
        assert "NADG_MASTER_URL: a master answers at" in folder.refused(*command)
    folder.environment["NADG_MASTER_URL"] = master.ask("GET", "/v1/workers").document[0]["vm_url"]
    for command in (("run", "--plan", plan), ("runs", "list"), ("runs", "attach", "x")):
        assert "is no NADG master" in folder.refused(*command)
    folder.environment["NADG_MASTER_URL"] = "ftp://x"
    assert folder.refused("run", "--plan", plan).startswith(
        "nadg: NADG_MASTER_URL: this is no address of a master"
    )


LOOKING = ["runs list", "runs show 1", "runs show 1 --plan", "runs show 1 --json", "runs cancel 1", "workers list"]


@pytest.mark.parametrize("command", LOOKING)
def test_who_cannot_ask_the_master_is_told_in_one_sentence(away: Folder, command: str) -> None:
    home = Path(away.environment["NADG_HOME"])
    away.environment["NADG_MASTER_TOKEN"] = "not-the-token-of-it"
    assert "refused the token; set NADG_MASTER_TOKEN" in away.refused(*command.split())
    away.environment["NADG_MASTER_URL"] = "http://127.0.0.1:9"
    assert "no master answers at http://127.0.0.1:9" in away.refused(*command.split())
    del away.environment["NADG_MASTER_TOKEN"]
    assert "its token is not known here" in away.refused(*command.split())
    assert not (home / "nadg.db").exists(), "nothing here was asked instead"


@pytest.mark.parametrize("command", ["show", "cancel"])
def test_a_run_that_the_master_does_not_know_is_named(away: Folder, command: str) -> None:
    for unknown in ("zzzzzzzz", "..", "1/../..", "é"):
        assert away.refused("runs", command, unknown) == f"nadg: no run {unknown}; see `nadg runs list`\n"
    assert "the run id is empty" in away.refused("runs", command, " ")


def test_what_the_master_has_reads_as_in_its_own_home(away: Folder, master: MasterProcess, tmp_path: Path) -> None:
    code = {"kind": "python", "code": "open('made.txt', 'w').write('x'); result = 'n' * 70_000"}
    plan = {"goal": "much", "subtasks": [{"id": "made", "work": code}]}
    run_id = master.post("/v1/runs", {"plan": plan}).document["id"]
    assert attached(away, run_id) == 0
    home, run = Folder(tmp_path, master.home), run_id[:15]
    show = f"show {run}"
    for question in (
        "list",
        "list --limit 9999 --json",
        show,
        f"{show} --json",
        f"{show} --plan",
        f"cancel {run}",
    ):
        there, here = (one.ask("runs", *question.split()) for one in (home, away))
        assert (here.returncode, here.stdout, here.stderr) == (0, there.stdout, ""), question
    assert "n" * 70_000 in away.ask("runs", "show", run).stdout.replace("\n", "")
    there, here = (json.loads(one.ask("workers", "list", "--json").stdout) for one in (home, away))
    assert [one["vm_url"] for one in here] == [one["vm_url"] for one in there]
    assert here[0]["id"] in away.ask("workers", "list").stdout
    assert not (tmp_path / "other" / "nadg.db").exists()


def test_a_run_that_nobody_can_go_on_with_is_ended_by_the_master_at_once(
    away: Folder, master: MasterProcess
) -> None:
    """It lacks a file of it, and so leaves it to others."""
    gone = InputFile(name="gone.csv", kind="text", blob=BlobRef(sha256="0" * 64, size=1))
    plan = Plan.model_validate({"subtasks": [{"id": "a", "work": {"kind": "python", "code": "result = 1"}}]})

    async def left_behind() -> str:
        async with open_store(master.home / "nadg.db", SystemClock()) as store:
            new = NewRun(id=fresh_run_id(), command="it", planner="file", plan=plan, inputs=(gone,))
            await store.runs.release(await store.runs.create(new, "a master that is gone"))
            return new.id

    run_id = asyncio.run(left_behind())
    said = away.ask("runs", "cancel", run_id).stdout
    assert said == f"Run {run_id} is cancelled; its master was gone, so it had come to a halt.\n"
    assert json.loads(away.ask("runs", "show", run_id, "--json").stdout)["state"] == "cancelled"


def test_a_second_master_at_the_same_port_says_what_is_there(folder: Folder, master: MasterProcess) -> None:
    folder.environment |= {"NADG_MASTER_PORT": str(master.port), "NADG_HOME": str(folder.path / "other")}
    said = folder.refused("up", "--workers", "1")
    assert f"cannot listen on 127.0.0.1:{master.port} (Address already in use); is `nadg up` running" in said
    folder.environment["NADG_MASTER_HOST"] = "0.0.0.0"
    assert "callers need a secret" in folder.refused("up", "--workers", "1")
    folder.environment["NADG_MASTER_TOKEN"] = "short"
    assert "shorter than 16 characters" in folder.refused("up", "--workers", "1")
