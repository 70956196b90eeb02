"""Nothing is left out without a word: every row in every combination that this machine allows."""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

import ast
import ctypes
import os
from collections import defaultdict
from pathlib import Path

import pytest

from nadg.domain.tier import Tier
from tests.sandbox.threats.combinations import COMBINATIONS, Combination, obstacle
from tests.sandbox.threats.hosts import Box, Launcher
from tests.sandbox.threats.rows import ROWS, row_of
from tests.sandbox.threats.words import X86_64_ONLY, is_running_as, unlikely_name

_IN_EACH_COMBINATION = {"box", "open_box", "combination"}
_NEW_NAMESPACES = 0x7C020000
"""User, process, network, mount, IPC and host name."""
_DOCKER = next(one for one in COMBINATIONS if one.starter == "docker")


def _tests() -> dict[str, ast.FunctionDef]:
    files = Path(__file__).parent.glob("test_*.py")
    functions = (node for path in files for node in ast.parse(path.read_text()).body)
    return {
        node.name: node
        for node in functions
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_row_has_a_test_in_every_combination() -> None:
    bound = {
        row_of(name)
        for name, node in _tests().items()
        if _IN_EACH_COMBINATION & {argument.arg for argument in node.args.args}
    }
    assert sorted(ROWS) == list(range(1, 46))
    assert set(ROWS) - bound == set()


def test_in_ci_every_test_is_collected_in_every_combination(request: pytest.FixtureRequest) -> None:
    """On a desk one may choose some of them."""
    if not os.environ.get("CI"):
        return
    names = {one.name for one in COMBINATIONS}
    found: dict[str, set[str]] = defaultdict(set)
    for item in request.session.items:
        chosen = item.callspec.params.get("combination") if hasattr(item, "callspec") else None
        if isinstance(chosen, Combination):
            found[item.nodeid.partition("[")[0]].add(chosen.name)
    assert {test: missing for test, has in found.items() if (missing := names - has)} == {}


def test_what_is_left_out_has_a_reason() -> None:
    for one in COMBINATIONS:
        refused, allowed = obstacle(one, lambda _: "EPERM"), obstacle(one, lambda _: "")
        assert refused if one.tier is Tier.NAMESPACES else refused == allowed


def test_no_threat_is_skipped_but_for_its_machine() -> None:
    """Only the fixtures of a combination decide, and `test_what_the_machine_allows_is_tried` watches them."""
    for path in Path(__file__).parent.glob("test_*.py"):
        if path.name != Path(__file__).name:
            text = path.read_text()
            assert "pytest.skip(" not in text, path.name
            assert "mark.skip" not in text, path.name
            assert "xfail" not in text, path.name


def test_more_attacks_than_the_table_has() -> None:
    assert len([name for name in _tests() if row_of(name) is None]) > 25


def _kernel_allows(one: Combination) -> bool:
    """The same asked of the kernel by another way: Landlock's version, and namespaces for such a user."""
    libc = ctypes.CDLL(None, use_errno=True)
    if one.starter == "root" and os.geteuid() != 0:
        return False
    if int(libc.syscall(444, 0, 0, 1)) < 3:
        return False
    if one.tier is not Tier.NAMESPACES:
        return True
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(4711, 4711, 4711)
                os.setresuid(4711, 4711, 4711)
            os._exit(1 if libc.unshare(_NEW_NAMESPACES) else 0)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("one", COMBINATIONS, ids=lambda one: one.name)
def test_what_the_machine_allows_is_tried(launcher: Launcher, one: Combination) -> None:
    """Root on a machine with Landlock and user namespaces runs all five; whatever runs less says why."""
    allowed, obstacle = _kernel_allows(one), launcher.obstacle(one)
    assert allowed == (not obstacle), f"{one.name} is left out, but the kernel allows it: {obstacle}"
    if not allowed:
        return
    box = launcher.shared(one)  # allowed, so it must start
    assert box.report["tier"] == one.tier.value
    assert box.value("import os; result = os.getuid()") == one.task_uid
    status = Path(f"/proc/{box.pid}/status").read_text().splitlines()
    assert f"Uid:\t{one.uid}\t{one.uid}\t{one.uid}\t{one.uid}" in status


def test_the_tier_is_what_it_says(box: Box) -> None:
    """A task's namespaces, compared with those of the process that uses the sandbox."""
    name = unlikely_name()
    source = f"import ctypes, os, time; ctypes.CDLL(None).prctl(15, {name.encode()!r}, 0, 0, 0)\n"
    running = box.start(source + "print(os.getpid(), flush=True); time.sleep(60)")
    pid_inside = int(running.first_output())
    (pid,) = is_running_as(name)
    in_namespaces = box.combination.tier is Tier.NAMESPACES
    assert (pid_inside == 1) == in_namespaces
    if os.geteuid() == 0:  # who alone may look at a process that hides from tracers
        kinds = ("user", "pid", "net", "ipc", "uts") + (("mnt",) if in_namespaces else ())
        shared = [kind for kind in kinds if _namespace(pid, kind) == _namespace(box.pid, kind)]
        assert shared == ([] if in_namespaces else list(kinds))
    running.cancel()


def _namespace(pid: int, kind: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


@X86_64_ONLY
def test_the_imitation_of_docker_denies_what_docker_denies(launcher: Launcher) -> None:
    if launcher.obstacle(_DOCKER):
        pytest.skip(launcher.obstacle(_DOCKER))
    source = """
import ctypes, errno, os, socket, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(one) for one in arguments])
    return errno.errorcode[ctypes.get_errno()] if done == -1 else None
denied = (272, 308, 165, 166, 155, 428, 429, 430, 250, 248, 321, 298, 323, 246, 175, 172, 167, 169, 163, 304, 425)
result = [sorted({call(number, 0, 0, 0, 0, 0) for number in denied}), call(56, 0x10000000 | 17, 0, 0, 0, 0),
          call(435, 0, 0), call(135, 0x40000), call(135, 0xFFFFFFFF), subprocess.run(["/bin/true"]).returncode, os.getuid(),
          [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapPrm", "NoNewPrivs"))]]
"""
    nothing = "0" * 16
    uid = _DOCKER.uid
    expected = [["EPERM"], "EPERM", "ENOSYS", "EPERM", None, 0, uid, [nothing, nothing, "1"]]
    assert launcher.control(_DOCKER, source) == expected


def test_in_a_container_the_best_tier_is_found_and_not_overstated(launcher: Launcher) -> None:
    if launcher.obstacle(_DOCKER):
        pytest.skip(launcher.obstacle(_DOCKER))
    box = launcher.open(_DOCKER, policy={"tier": None})
    try:
        assert box.report["tier"] == "landlock"
    finally:
        box.connection.close()
