"""Rows 42 and 45: a set-up that fails runs nothing; a warm process that dies or hangs is replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from nadg.domain.errors import SandboxUnavailable
from nadg.domain.tier import Tier
from tests.sandbox.threats.combinations import Combination
from tests.sandbox.threats.hosts import Box, Launcher

OpenBox = Callable[..., Box]
_NO_NEW_PRIVS, _SECCOMP, _DEATH_SIGNAL, _DUMPABLE = 38, 22, 1, 4
_EVERYWHERE: dict[str, dict[str, list[int]]] = {
    "landlock ruleset": {"landlock_create_ruleset": []},
    "landlock rule": {"landlock_add_rule": []},
    "landlock entry": {"landlock_restrict_self": []},
    "call filter": {"prctl": [_SECCOMP], "seccomp": []},
    "no new rights": {"prctl": [_NO_NEW_PRIVS]},
    "death with the parent": {"prctl": [_DEATH_SIGNAL]},
    "no dumps": {"prctl": [_DUMPABLE]},
    "capabilities": {"capset": []},
    "limits": {"prlimit64": [], "setrlimit": []},
    "work folder": {"chdir": [], "fchdir": []},
}
_NEW_NAMESPACES: dict[str, list[int]] = {"unshare": [], "setns": []}
_MOUNTS: dict[str, list[int]] = {"mount": [], "move_mount": [], "fsopen": []}


@pytest.mark.parametrize("step", _EVERYWHERE)
def test_42_a_kernel_that_refuses_a_step_gets_no_code_to_run(
    launcher: Launcher, combination: Combination, step: str
) -> None:
    """The sandbox says so and runs nothing. `test_fail_closed.py` breaks each step of the child by itself."""
    with pytest.raises(SandboxUnavailable):
        launcher.open(combination, denied=_EVERYWHERE[step])


@pytest.mark.parametrize("denied", [_NEW_NAMESPACES, _MOUNTS], ids=["unshare", "mount"])
def test_42_without_namespaces_only_the_tier_without_them_starts(
    launcher: Launcher, combination: Combination, denied: dict[str, list[int]]
) -> None:
    if combination.tier is Tier.NAMESPACES:
        with pytest.raises(SandboxUnavailable):
            launcher.open(combination, denied=denied)
    elif combination.starter != "root":  # who may need a private view of files that only root reaches
        box = launcher.open(combination, denied=denied)
        assert box.value("result = 1") == 1
        box.connection.close()


def test_42_a_kernel_that_refuses_what_is_not_needed_does_not_matter(open_box: OpenBox) -> None:
    assert open_box(denied={"swapon": [], "mknod": [], "prctl": [4711]}).value("result = 1") == 1


def _zygotes(box: Box) -> list[int]:
    return [child.pid for child in psutil.Process(box.pid).children()]


def test_45_a_killed_zygote_is_replaced(open_box: OpenBox) -> None:
    box = open_box()
    running = box.start("import time; print('here', flush=True); time.sleep(60)")
    running.first_output()
    before = _zygotes(box)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    ending = running.ending()
    assert ending.kind == "crashed"
    assert "lost" in ending.reason
    assert any(box.run("result = 1").kind == "succeeded" for _ in range(5))
    assert not set(_zygotes(box)) & set(before)


def test_nothing_is_left_of_a_closed_sandbox(open_box: OpenBox) -> None:
    box = open_box()
    box.run("open('a', 'w').close()")
    processes = psutil.Process(box.pid).children(recursive=True)
    assert processes
    assert list((box.root / "attempts").iterdir())
    box.connection.close()
    assert [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert list((box.root / "attempts").iterdir()) == []


def test_45_a_stopped_zygote_does_not_stop_the_worker(open_box: OpenBox) -> None:
    box = open_box(silence_seconds=0.5)
    tree = psutil.Process(box.pid).children(recursive=True)
    for process in tree:
        process.suspend()
    ending = box.run("result = 1", limits={"wall_seconds": 0.5})
    assert ending.kind in ("crashed", "limit")
    assert any(box.run("result = 1").kind == "succeeded" for _ in range(5))  # on a busy machine not at once
