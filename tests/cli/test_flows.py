"""The command line as a person uses it: real processes for all that runs, a real grid, real signals."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.nadg_folder import Folder, ended, read_until

ROOT = Path(__file__).parents[2]
ENDLESS = """
goal: something quick, then something without end
subtasks:
  - id: quick
    work: {kind: python, code: "result = 7"}
  - id: endless
    needs: [quick]
    work: {kind: python, code: "print('begun', flush=True)\\nwhile True: pass"}
"""
FAILING = """
goal: one part fails
subtasks:
  - id: good
    work: {kind: python, code: "print('hello\\x1b[2J'); open('made.txt', 'w').write('x'); result = {'a': 1}"}
  - id: bad
    work: {kind: python, code: "raise ValueError('no such luck')"}
    needs: [good]
"""
SPLIT = """
goal: squares
subtasks:
  - id: squares
    foreach: {items: [1, 2, 3, 4, 5, 6], shard_size: 2}
    work: {kind: python, code: "result = item * item"}
  - id: total
    needs: [squares]
    work: {kind: python, code: "result = sum(needs['squares'])"}
"""


@pytest.fixture(scope="module")
def grid_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a grid that is up, for all tests that need no workers of their own."""
    path = tmp_path_factory.mktemp("grid")
    up = Folder(path, path / "home").start("up", "--workers", "2")
    try:
        read_until(up.stdout, r"^ready: 2 workers")
        children = psutil.Process(up.pid).children(recursive=True)
        yield path / "home"
    finally:
        up.send_signal(signal.SIGINT)
        code, _, err = ended(up)
    assert code in (0, 130), err
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert (len(gone), alive) == (len(children), [])


@pytest.fixture
def folder(tmp_path: Path, grid_home: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path, grid_home)
    yield folder
    folder.close()


SHORT_WAIT = {"NADG_LEASE_SECONDS": "1.1", "NADG_GRACE_SECONDS": "0.5"}  # of workers for another master


def test_json_is_one_object_and_nothing_else(folder: Folder) -> None:
    done = folder.nadg("run", "--plan", folder.plan(SPLIT), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["state"], document["subtasks"][1]["result"]) == ("succeeded", 91)
    assert [len(shard["attempts"]) for shard in document["subtasks"][0]["shards"]] == [1, 1, 1]
    saved = json.loads((folder.path / "nadg-out" / document["id"] / "run.json").read_text())
    assert saved == document


def test_a_run_shows_its_plan_its_progress_and_its_answer(folder: Folder) -> None:
    done = folder.nadg("run", "--plan", folder.plan(SPLIT), "--out", "here", "--no-cache")
    assert done.returncode == 0, done.stderr
    assert "squares  python, 1 line · each of 6 items" in done.stderr
    assert "▸ squares: squares, 3 shards" in done.stderr
    assert re.search(r"✓ squares: succeeded, 3/3 shards, [12] workers?", done.stderr)
    assert "91" in done.stdout
    assert done.stdout.splitlines()[-1] == "Files: here/ (answer.md, artifacts/, run.json)"
    assert (folder.path / "here" / "answer.md").read_text().strip() in done.stdout
    again = folder.nadg("run", "--plan", folder.plan(SPLIT), "--out", "there")
    assert "✓ squares: succeeded, 3/3 shards, reused" in again.stderr
    assert "2 of 2 subtasks done, 4 of 4 shards reused" in again.stderr
    assert "91" in again.stdout


def test_quiet_shows_the_answer_only(folder: Folder) -> None:
    done = folder.nadg("run", "--plan", folder.plan(SPLIT), "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert "91" in done.stdout


def test_a_failed_run_exits_1_and_says_why(folder: Folder) -> None:
    done = folder.nadg("run", "--plan", folder.plan(FAILING), "--out", "here", "--follow", "good")
    assert done.returncode == 1
    assert "no such luck" in done.stdout
    assert "✗ bad: failed" in done.stderr
    assert "good/0 │ hello\\x1b[2J" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert (folder.path / "here" / "artifacts" / "good" / "made.txt").read_text() == "x"
    assert "Traceback" not in done.stderr
    run_id = json.loads((folder.path / "here" / "run.json").read_text())["id"]
    shown = folder.ask("runs", "show", run_id).stdout
    assert f"{run_id}/bad/0/1:\nTraceback" in shown, "the words of the code itself help"
    assert re.search(r"^SUBTASK +SIZE +FILE *\ngood +1 B +made.txt", shown, re.M)


def test_the_deadline_fails_the_run(folder: Folder) -> None:
    done = folder.nadg("run", "--plan", folder.plan(ENDLESS), "--timeout", "1", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["state"] == "failed"


def test_ctrl_c_cancels_cleanly_and_keeps_what_is_done(folder: Folder) -> None:
    run = folder.start(
        "run", "--plan", folder.plan(ENDLESS), "--follow", "endless", "--out", "here", "--workers", "1"
    )
    read_until(run.stderr, "begun")
    family = psutil.Process(run.pid).children(recursive=True)
    assert family, "it has workers of its own"
    run.send_signal(signal.SIGINT)
    code, out, err = ended(run)
    assert code == 130, err
    assert "Cancelling: what is done is kept" in err
    document = json.loads((folder.path / "here" / "run.json").read_text())
    assert document["state"] == "cancelled"
    assert [one["state"] for one in document["subtasks"]] == ["succeeded", "cancelled"]
    assert document["subtasks"][0]["result"] == 7
    assert "cancelled" in out
    assert psutil.wait_procs(family, timeout=10)[1] == [], "no process is left behind"


def test_a_killed_run_leaves_no_process(tmp_path: Path) -> None:
    folder = Folder(tmp_path, tmp_path / "home")
    folder.environment |= SHORT_WAIT
    run = folder.start("run", "--plan", folder.plan(ENDLESS), "--follow", "endless", "--workers", "1")
    read_until(run.stderr, "begun")
    family = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    ended(run)
    assert family
    assert psutil.wait_procs(family, timeout=20)[1] == []
    assert list((tmp_path / "home" / "workers").iterdir()) == []


def test_a_run_whose_master_was_killed_is_said_to_be_and_ended_by_whoever_wants(tmp_path: Path) -> None:
    folder = Folder(tmp_path, tmp_path / "home")
    folder.environment |= SHORT_WAIT
    run = folder.start("run", "--plan", folder.plan(ENDLESS), "--follow", "endless", "--workers", "1")
    read_until(run.stderr, "begun")
    run.kill()
    ended(run)
    run_id = json.loads(folder.ask("runs", "list", "--json").stdout)[0]["id"]
    watched = folder.ask("runs", "attach", run_id)
    assert watched.returncode == 1
    assert f"Run {run_id} running (its master is gone and nobody carries it out)" in watched.stderr
    assert "running (master gone)" in folder.ask("runs", "list").stdout
    assert "its master is gone" in folder.ask("runs", "show", run_id).stdout
    assert "its master was gone" in folder.ask("runs", "cancel", run_id).stdout
    document = json.loads(folder.ask("runs", "show", run_id, "--json").stdout)
    assert (document["state"], document["orphaned"]) == ("cancelled", False)
    assert [one["state"] for one in document["subtasks"]] == ["succeeded", "cancelled"]
    assert [one["state"] for one in document["subtasks"][1]["shards"]] == ["cancelled"]
    assert "nothing to cancel" in folder.ask("runs", "cancel", run_id).stdout


def test_a_second_ctrl_c_leaves_no_run_that_seems_to_go_on(folder: Folder) -> None:
    run = folder.start("run", "--plan", folder.plan(ENDLESS), "--follow", "endless", "--workers", "1")
    read_until(run.stderr, "begun")
    run_id = next(
        one["id"] for one in json.loads(folder.ask("runs", "list", "--json").stdout) if one["state"] == "running"
    )
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGINT)
    assert ended(run)[0] == 130
    assert json.loads(folder.ask("runs", "show", run_id, "--json").stdout)["state"] == "cancelled"


def test_a_run_is_listed_shown_watched_and_cancelled_from_elsewhere(folder: Folder) -> None:
    run = folder.start("run", "--plan", folder.plan(ENDLESS), "--follow", "endless", "--no-cache")
    read_until(run.stderr, "begun")
    listed = json.loads(folder.ask("runs", "list", "--json").stdout)
    run_id = next(one["id"] for one in listed if one["state"] == "running")
    assert run_id in folder.ask("runs", "list").stdout
    watching = folder.start("runs", "attach", run_id)
    read_until(watching.stderr, "✓ quick: succeeded")
    asked = folder.ask("runs", "cancel", run_id)
    assert (asked.returncode, asked.stdout) == (0, f"Asked run {run_id} to end.\n")
    assert ended(run)[0] == 1, "130 is for Ctrl-C alone"
    code, _, err = ended(watching)
    assert code == 1
    assert f"Run {run_id} cancelled" in err
    shown = folder.ask("runs", "show", run_id[:14])
    assert re.search(r"^quick +succeeded +1/1 +1 +1 .* (namespaces|landlock)", shown.stdout, re.M)
    assert re.search(r"^endless +cancelled +0/1 +1 +1 ", shown.stdout, re.M)
    assert json.loads(folder.ask("runs", "show", run_id, "--json").stdout)["state"] == "cancelled"
    assert "nothing to cancel" in folder.ask("runs", "cancel", run_id).stdout


def test_runs_that_do_not_exist_are_said_to(folder: Folder) -> None:
    for command in ("show", "cancel", "attach"):
        assert "zzzz" in folder.refused("runs", command, "zzzz")


def test_workers_of_the_grid_are_listed_and_tested(folder: Folder) -> None:
    workers = json.loads(folder.ask("workers", "list", "--json").stdout)
    assert len(workers) == 2
    assert {one["status"] for one in workers} <= {"active", "busy"}, (
        "busy: the registry may not know of an end yet"
    )
    url = workers[0]["vm_url"]
    assert url in folder.ask("workers", "list").stdout
    tested = folder.ask("workers", "test", url)
    assert tested.returncode == 0, tested.stderr
    assert "slots:" in tested.stdout


def test_the_registry_is_kept_by_hand(tmp_path: Path) -> None:
    folder = Folder(tmp_path, tmp_path / "home")
    assert "No workers are registered" in folder.ask("workers", "list").stdout
    added = folder.ask("workers", "add", "http://127.0.0.1:9/", "--name", "far")
    assert added.returncode == 0, added.stderr
    assert "http://127.0.0.1:9 is now offline" in folder.ask("workers", "status", "far", "offline").stdout
    assert "set by hand" in folder.ask("workers", "list").stdout
    assert folder.ask("workers", "undrain", "far").stdout == "http://127.0.0.1:9 is now active.\n"
    assert "set by hand" not in folder.ask("workers", "list").stdout
    assert "is now draining" in folder.ask("workers", "drain", "far", "--why", "a new disk").stdout
    assert re.search(r"set by hand by .+ at .+: a new disk", folder.ask("workers", "list").stdout)
    assert "what masters find" in folder.refused("workers", "status", "far", "quarantined")
    assert folder.ask("workers", "remove", "far").stdout == "Removed http://127.0.0.1:9.\n"
    assert "far" in folder.refused("workers", "remove", "far")
    assert "ftp://x" in folder.refused("workers", "add", "ftp://x")
    assert "letters" in folder.refused("workers", "add", "http://127.0.0.1:9", "--name", "a b")
    assert "http://127.0.0.1:9" in folder.refused("workers", "test", "http://127.0.0.1:9")


def test_bad_files_and_commands_are_one_sentence(folder: Folder) -> None:
    path = folder.path
    (path / "empty.csv").touch()
    (path / "junk.csv").write_bytes(bytes(range(256)) * 20)
    (path / "latin.csv").write_bytes("text\nschön und gut\n".encode("latin-1"))
    (path / "numbers.csv").write_text("a,b\n1,2\n3,4\n")
    said = "Analyze the sentiment of the reviews"
    for name in ("empty.csv", "junk.csv", "latin.csv", "numbers.csv"):
        text = folder.refused("run", said, "--input", name)
        assert name in text
        assert text.count("\n") == 1
    assert "utf-8" in folder.refused("run", said, "--input", "latin.csv").lower()
    (path / "reviews.csv").write_text("text\nI like it\n")
    folder.refused("run", "Bake me a cake with sugar icing", "--input", "reviews.csv")
    assert "'nosuch'" in folder.refused("run", "--plan", folder.plan(SPLIT), "--follow", "nosuch")


def test_a_broken_plan_tells_every_problem(folder: Folder) -> None:
    broken = """
subtasks:
  - id: a
    needs: [b, missing]
    work: {kind: python, code: "result = 1"}
  - id: b
    needs: [a]
    work: {kind: skill, skill: text.sentimant}
"""
    text = folder.refused("plan", "--plan", folder.plan(broken))
    assert re.match(r"nadg: the plan has \d+ problems:\n", text)
    assert "missing" in text
    assert "text.sentiment" in text


def test_a_plan_is_shown_saved_and_used_again(folder: Folder) -> None:
    shutil.copy(ROOT / "examples" / "reviews.csv", folder.path)
    said = "Analyze the sentiment of customer reviews"
    shown = folder.ask("plan", said, "--input", "reviews.csv", "--save", "saved.yaml")
    assert shown.returncode == 0, shown.stderr
    assert "skill text.sentiment" in shown.stdout
    assert shown.stdout.endswith("run it with: nadg run --plan saved.yaml --input reviews.csv\n")
    again = folder.ask("plan", "--plan", "saved.yaml", "--input", "reviews.csv", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["subtasks"][0]["work"]["skill"] == "text.sentiment"
    assert ".yaml" in folder.refused("plan", said, "--input", "reviews.csv", "--save", "saved.txt")


def test_skills_are_listed_and_shown(folder: Folder) -> None:
    assert "text.sentiment" in folder.ask("skills").stdout
    assert "sentiment.csv" in folder.ask("skills", "show", "text.sentiment").stdout
    specs = json.loads(folder.ask("skills", "--json").stdout)
    assert len(specs) > 15
    assert "text.sentiment" in folder.refused("skills", "show", "text.sentimant")
