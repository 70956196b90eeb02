"""A short soak of a real worker, judged by its facts alone; and that what judges it can find something."""

from __future__ import annotations

import datetime
import json
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from footprint import take_footprint
from health import EVERY_SECONDS, with_held_up
from soak_attacks import SECRET, Targets, attack_makers
from soak_good import good_makers
from soak_task import Maker

from nadg.domain.blob import Value
from nadg.domain.outcome import Outcome, OutcomeKind, Receipt
from nadg.domain.tier import Tier
from nadg.link.blobfolder import BlobFolder

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_300_attempts_of_good_code_and_attacks_leave_nothing_and_every_good_task_is_right() -> None:
    command = [sys.executable, str(BENCHMARKS / "sandbox_soak.py"), "--only-facts"]
    command += ["--attempts", "300", "--slots", "2", "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "good tasks wrong: 0; attacks not contained: 0" in done.stdout
    for kind in ("arithmetic", "files", "table", "fork", "kill", "read secrets", "forged report", "output flood"):
        assert f" {kind} " in done.stdout, done.stdout
    assert "warm processes killed: 4" in done.stdout


def outcome(kind: OutcomeKind, result: object = None, said: str = "") -> Outcome:
    at = datetime.datetime.now(datetime.UTC)
    receipt = Receipt(
        worker="w", sandbox_tier=Tier.LANDLOCK, code_sha256="", input_sha256s={}, started_at=at, finished_at=at
    )
    value = Value(inline=json.dumps(result).encode())
    return Outcome(kind=kind, receipt=receipt, result=value, stdout_tail=said)


def targets() -> Targets:
    return Targets(secret=Path("/nowhere"), worker_process=1, worker_port=1)


def attacks() -> list[Maker]:
    return list(attack_makers(targets()))


def test_an_attack_that_tells_the_secret_or_crashed_the_sandbox_is_not_contained(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    for task in (make(random.Random(1)) for make in attacks()):
        assert task.is_attack
        for end in (outcome("succeeded", said=SECRET), outcome("failed", SECRET), outcome("crashed")):
            assert task.judge(end, blobs), task.kind


def test_an_act_that_worked_and_a_try_that_tried_nothing_are_not_contained(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    tried = [task for make in attacks() if "attempt_to" in (task := make(random.Random(1))).code]
    assert len(tried) >= 7
    for task in tried:
        assert task.judge(outcome("succeeded", ["control"]), blobs) == ""
        assert task.judge(outcome("succeeded", ["control", "fork"]), blobs)
        assert task.judge(outcome("succeeded", []), blobs)


def test_a_good_task_with_another_result_or_end_is_wrong(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    for make in good_makers(blobs):
        task = make(random.Random(1))
        assert not task.is_attack
        for end in (outcome("succeeded", "other"), outcome("failed"), outcome("limit")):
            assert task.judge(end, blobs), task.kind


def test_the_same_seed_gives_the_same_tasks(tmp_path: Path) -> None:
    for make in good_makers(BlobFolder(tmp_path)):
        assert make(random.Random(1)).assignment("a/b/0/1") == make(random.Random(1)).assignment("a/b/0/1")


def test_a_new_process_descriptor_and_file_show_in_the_footprint(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    source = """
    import subprocess, sys
    for act in sys.stdin:
        exec(act)
        print("done", flush=True)
    """
    worker = subprocess.Popen(
        [sys.executable, "-u", "-c", textwrap.dedent(source)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None

    def after(act: str) -> list[str]:
        print(act, file=worker.stdin, flush=True)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "done\n"
        return [one.partition(":")[0] for one in take_footprint(worker.pid, tmp_path).grown(before)]

    before = take_footprint(worker.pid, tmp_path)
    after("pass")  # what it opened while it started is closed again
    before = take_footprint(worker.pid, tmp_path)
    assert after("pass") == []
    assert after(f"kept = open({str(tmp_path / 'sandbox' / 'left')!r}, 'w')") == ["descriptors", "entries"]
    assert "processes" in after("child = subprocess.Popen(['sleep', '60'])")
    after("child.kill()")
    worker.communicate()


def test_a_process_that_lost_its_parent_is_found_until_it_is_dead() -> None:
    source = """
    import os, signal, subprocess
    from footprint import adopt_orphans, left_behind, strays
    from pathlib import Path
    adopt_orphans()
    assert strays(()) == []
    orphan = int(subprocess.run(["sh", "-c", "sleep 60 >&- & echo $!"], stdout=-1, check=True).stdout)
    assert [one.split()[0] for one in strays(())] == [str(orphan)], strays(())
    assert str(orphan) in left_behind(Path("nowhere"), None)[0]
    os.kill(orphan, signal.SIGKILL)
    os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)
    assert strays(()) == []
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(source)], cwd=BENCHMARKS, check=True, timeout=60)


def test_a_late_answer_counts_for_the_questions_it_held_up() -> None:
    late = 2.5 * EVERY_SECONDS
    assert with_held_up([0.001, late]) == pytest.approx([0.001, late, late - EVERY_SECONDS, 0.5 * EVERY_SECONDS])
