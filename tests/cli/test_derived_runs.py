"""`nadg runs resume` and `nadg runs fork` as a person uses them: real processes for all that runs."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nadg_folder import Folder, ended, read_until

PLAN = """
goal: squares
subtasks:
  - id: base
    work: {kind: python, code: "print('base', flush=True)\\nresult = 3"}
  - id: squares
    needs: [base]
    foreach: {items: [1, 2, 3], shard_size: 1}
    work: {kind: python, code: "if item == 3: raise ValueError('three')\\nresult = item * needs['base']"}
  - id: total
    needs: [squares]
    work: {kind: python, code: "result = sum(needs['squares'])"}
"""
SLOW = """
goal: something that lasts long enough to be killed
subtasks:
  - id: quick
    work: {kind: python, code: "result = 7"}
  - id: slow
    needs: [quick]
    work: {kind: python, code: "import time\\ntime.sleep(2)\\nresult = needs['quick']"}
"""
RUN_ID = r"[0-9a-z]{16}"


class Master:
    """A master that is up in a home of its own."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    path = tmp_path_factory.mktemp("grid")
    up = Folder(path, path / "home").start("up", "--workers", "1")
    try:
        url = read_until(up.stdout, r"^master: (\S+)")[1]
        yield Master(path / "home", url)
    finally:
        up.send_signal(signal.SIGINT)
        code, _, err = ended(up)
    assert code in (0, 130), err


@pytest.fixture
def folder(tmp_path: Path, master: Master) -> Iterator[Folder]:
    folder = Folder(tmp_path, master.home)
    yield folder
    folder.close()


@pytest.fixture(scope="module")
def failed(master: Master, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a run whose third square failed."""
    folder = Folder(tmp_path_factory.mktemp("first"), master.home)
    done = folder.nadg("run", "--plan", folder.plan(PLAN), "--json", "--no-cache")
    assert done.returncode == 1, done.stderr
    return str(json.loads(done.stdout)["id"])


def test_a_resumed_run_keeps_what_was_done_and_says_so(folder: Folder, failed: str) -> None:
    done = folder.nadg("runs", "resume", failed, "--out", "here", "--follow", "base")
    assert done.returncode == 1, "it fails as it did"
    assert re.search(
        rf"^Kept 1 of 3 subtasks and [23] shards of run {failed}; to do: squares, total$", done.stderr, re.M
    )
    assert "base/0 │" not in done.stderr, "nothing of what is kept runs"
    assert "✗ squares: failed" in done.stderr
    assert "▸ base" not in done.stderr
    record = json.loads((folder.path / "here" / "run.json").read_text())
    assert (record["parent"], record["forked_from"]) == (failed, None)
    origins = [shard["attempts"][0]["reused_from"] for shard in record["subtasks"][1]["shards"]]
    assert origins[0] == f"{failed}/squares/0/1"
    assert origins[2] is None
    shown = folder.ask("runs", "show", record["id"]).stdout
    assert f"It resumes {failed}\n" in shown
    assert re.search(rf"^{record['id']}  failed .*resumes {failed}", folder.ask("runs", "list").stdout, re.M)


def test_a_fork_with_a_mended_plan_does_what_rests_on_it(folder: Folder, failed: str) -> None:
    shown = folder.ask("runs", "show", failed, "--plan")
    (folder.path / "mended.yaml").write_text(shown.stdout.replace("item == 3", "item == 4"))
    done = folder.nadg("runs", "fork", failed, "--from", "squares", "--plan", "mended.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert f"Kept 1 of 3 subtasks and 1 shard of run {failed}; to do: squares, total\n" in done.stderr
    document = json.loads(done.stdout)
    assert (document["parent"], document["forked_from"]) == (failed, "squares")
    assert document["subtasks"][2]["result"] == 18


def test_a_fork_is_edited_here_and_carried_out_by_a_master(folder: Folder, master: Master, failed: str) -> None:
    folder.environment |= {"NADG_MASTER_URL": master.url, "VISUAL": "sed -i s/==.3/==4/"}
    done = folder.nadg("runs", "fork", failed[:15], "--from", "squares", "--edit", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert "18" in done.stdout
    done = folder.nadg("runs", "resume", failed, "--json")
    assert done.returncode == 1
    assert f"of run {failed}; to do: squares, total\n" in done.stderr
    assert json.loads(done.stdout)["parent"] == failed


def test_a_run_whose_master_was_killed_goes_on_here(tmp_path: Path) -> None:
    folder = Folder(tmp_path, tmp_path / "home")
    folder.environment |= {"NADG_LEASE_SECONDS": "1.2", "NADG_GRACE_SECONDS": "1"}
    run = folder.start("run", "--plan", folder.plan(SLOW), "--workers", "1")
    read_until(run.stderr, r"^▸ slow")
    (listed,) = json.loads(folder.ask("runs", "list", "--json").stdout)
    refusal = folder.refused("runs", "resume", listed["id"])
    assert f"run {listed['id']} has not ended, and a master holds it; watch it: `nadg runs attach" in refusal
    run.kill()
    ended(run)
    for _ in range(20):  # nobody tells when the lease has run out, which it does within 1.2 s
        done = folder.nadg("runs", "resume", listed["id"], "--workers", "1", "--json")
        if done.returncode != 2:
            break
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["id"], document["parent"]) == (listed["id"], None)
    quick = document["subtasks"][0]["shards"][0]["attempts"]
    assert len(quick) == 1, "what was done is not done again"
    assert document["subtasks"][1]["result"] == 7


def test_what_cannot_be_is_refused_in_a_sentence(folder: Folder, failed: str) -> None:
    assert folder.refused("runs", "resume", "nope") == "nadg: no run nope; see `nadg runs list`\n"
    assert "--from: the plan has no subtask 'x'; it has base, squares, total" in folder.refused(
        "runs", "fork", failed, "--from", "x"
    )
    assert "Missing option '--from'" in folder.refused("runs", "fork", failed)
    assert "give either --plan FILE or --edit" in folder.refused(
        "runs", "fork", failed, "--from", "total", "--edit", "--plan", folder.plan(PLAN)
    )
    assert "there is no file 'gone.yaml'" in folder.refused(
        "runs", "fork", failed, "--from", "total", "--plan", "gone.yaml"
    )
    assert "--follow: the plan has no subtask 'x'" in folder.refused("runs", "resume", failed, "--follow", "x")
    broken = PLAN.replace("needs: [base]", "needs: [bass]").replace("needs: [squares]", "needs: [sqares]")
    told = folder.refused("runs", "fork", failed, "--from", "total", "--plan", folder.plan(broken))
    assert "the plan has 2 problems:" in told, told
    folder.environment |= {"VISUAL": "sed -i s/needs:/neds:/"}
    told = folder.refused("runs", "fork", failed, "--from", "total", "--edit")
    assert told.count("no field of a subtask; did you mean needs?") == 2
    folder.environment |= {"VISUAL": "false"}
    assert "--edit: the editor 'false' ended with exit code 1" in folder.refused(
        "runs", "fork", failed, "--from", "total", "--edit"
    )
