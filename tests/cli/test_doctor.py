"""`nadg worker doctor` as a process of its own, on this machine as it is and with parts of the kernel closed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from nadg.sandbox.layers import landlock, syscalls
from tests.support.nadg_folder import Folder

CLOSED = """
import ctypes, os, struct, sys
numbers = {numbers}
steps = [(0x20, 0, 0, 0)]
steps += [(0x15, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
steps += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | 95)]
program = b"".join(struct.pack("=HBBI", *step) for step in steps)
held = ctypes.create_string_buffer(program, len(program))
head = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(held)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(head)), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.executable, [sys.executable, "-m", "nadg", "worker", "doctor", *sys.argv[1:]])
"""
"""Starts the doctor where the kernel answers "not supported" to some calls, as old kernels and containers do."""

UNPRIVILEGED = """
import os, sys
from nadg.cli.main import run_command_line
from nadg.sandbox.layers import privileges
from nadg.sandbox.reach import make_reachable
from nadg.sandbox.readable import readable_paths

paths, home = readable_paths(), os.environ["NADG_HOME"]
os.mkdir(home, 0o700)
os.chown(home, 4711, 4711)
make_reachable(4711, (*paths.whole, *paths.listed, sys.base_prefix + "/bin"), home)
privileges.become(4711)
privileges.give_up_for_good()
os.chdir(home)
sys.exit(run_command_line(["worker", "doctor", "--json"]))
"""
"""Starts it as an ordinary user without any capability, as a worker in a container is."""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, tmp_path / "home")


def require_landlock() -> syscalls.Machine:
    machine = syscalls.this_machine() if sys.platform == "linux" else None
    if machine is None or landlock.abi_version(machine) < landlock.MINIMUM_ABI:
        pytest.skip("needs Landlock: nothing isolates here")
    return machine


def closed(folder: Folder, *calls: str) -> subprocess.CompletedProcess[str]:
    """The doctor's words where these system calls are not supported."""
    numbers = require_landlock().numbers
    source = CLOSED.format(numbers=[numbers[call] for call in calls])
    return subprocess.run(
        [sys.executable, "-c", source, "--json"],
        cwd=folder.path,
        env=folder.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def tiers(document: dict[str, Any]) -> dict[str, bool]:
    return {one["tier"]: one["works"] for one in document["tiers"]}


def test_it_says_what_a_worker_here_then_does(folder: Folder) -> None:
    require_landlock()
    done = folder.nadg("worker", "doctor", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    found = tiers(document)
    assert list(found) == ["namespaces", "landlock", "none"]
    assert (found["landlock"], found["none"]) == (True, True)
    for one in document["tiers"]:
        assert one["works"] == (one["report"] is not None) == (one["reason"] == "")
    assert document["best"] == ("namespaces" if found["namespaces"] else "landlock")
    host = document["host"]
    assert (host["kernel"], host["python"]) == (platform.release(), platform.python_version())
    assert host["landlock_abi"] >= landlock.MINIMUM_ABI
    assert all(one["missing"] and one["mend"] for one in document["advice"])
    assert {one["kind"] for one in document["threats"]} > {"files", "network", "disk", "set-up"}
    worker = folder.start("worker", "--port", "0", "--sandbox", document["best"])
    try:
        assert worker.stdout is not None
        assert json.loads(worker.stdout.readline())["tier"] == document["best"]
    finally:
        folder.close()


def test_a_person_can_read_it_and_nothing_is_left_behind(folder: Folder) -> None:
    require_landlock()
    done = folder.nadg("worker", "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n  landlock    works: " in done.stdout
    assert "\n  none        can be had with --allow-unsafe-none, and isolates nothing" in done.stdout
    assert "\n    mend: " in done.stdout
    assert "holes in the kernel itself" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("A worker here isolates with tier ")
    assert list((folder.path / "home" / "workers").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="an unprivileged run of the tests shows the same by itself")
def test_an_ordinary_user_is_told_what_holds_for_him() -> None:
    require_landlock()
    with tempfile.TemporaryDirectory(prefix="nadg-user-") as place:
        Path(place).chmod(0o755)
        environment = {**os.environ, "NADG_HOME": f"{place}/home"}
        command = [sys.executable, "-c", UNPRIVILEGED]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    host = document["host"]
    assert (tiers(document)["landlock"], host["is_root"], host["task_uid"]) == (True, False, 4711)
    assert host["unreadable"] == []
    assert not any("started as root" in one["missing"] for one in document["advice"])


def test_without_landlock_it_says_why_and_what_to_do_and_fails(folder: Folder) -> None:
    assert tiers(json.loads(closed(folder, "bpf").stdout))["landlock"], "the filter by itself changes nothing"
    done = closed(folder, "landlock_create_ruleset")
    assert (done.returncode, done.stderr) == (1, "")
    document = json.loads(done.stdout)
    assert (document["best"], tiers(document)) == ("none", {"namespaces": False, "landlock": False, "none": True})
    reasons = {one["tier"]: one["reason"] for one in document["tiers"]}
    assert "the kernel offers Landlock ABI 0, 3 is needed" in reasons["landlock"]
    assert document["host"]["landlock_abi"] == 0
    assert any("boot parameter lsm=" in one["mend"] for one in document["advice"])


def test_without_user_namespaces_it_says_what_to_do(folder: Folder) -> None:
    done = closed(folder, "unshare")
    document = json.loads(done.stdout)
    assert not tiers(document)["namespaces"]
    assert "not supported" in document["host"]["namespaces_refused"]
    assert any("user namespaces cannot be used" in one["missing"] for one in document["advice"])
    if tiers(document)["landlock"]:
        assert (done.returncode, document["best"]) == (0, "landlock")
    else:  # started as root, with Python or the home where only root may go
        reason = next(one["reason"] for one in document["tiers"] if one["tier"] == "landlock")
        assert (done.returncode, "cannot reach" in reason, document["host"]["is_root"]) == (1, True, True)


@pytest.mark.parametrize("options", [("doctor", "--port", "1"), ("doctr",)])
def test_what_it_does_not_know_is_refused(folder: Folder, options: tuple[str, ...]) -> None:
    assert "nadg worker" in folder.refused("worker", *options)


def test_a_home_that_is_unfit_is_said(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    assert "NADG_HOME=" in folder.refused("worker", "doctor")
