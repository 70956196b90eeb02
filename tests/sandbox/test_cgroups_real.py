"""Cgroups on a real mount, where this user may write one: processes move, limits bind, nothing is left."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nadg.sandbox.cgroup_home import CONTROLLERS, LEAF, GroupFiles, Home, NotDelegated, own_group, settle
from nadg.sandbox.cgroups import SandboxGroups, remove_groups
from tests.sandbox.cgroup_trials import SMALL, WAITS, living_process, run_until_it_speaks
from tests.sandbox.imitated_cgroups import BOTH


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Iterator[Home]:
    """A group of the test's own on a real mount, with what controllers there are; removed with all in it."""
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text()
        mount = own_group("0::/\n", mountinfo)
    except (OSError, NotDelegated):
        pytest.skip("this machine has no mount of cgroup version 2")
    folder = mount / f"nadg-test-{secrets.token_hex(8)}"
    files = GroupFiles()
    try:
        files.make(folder)
    except OSError as error:
        pytest.skip(f"this user may make no cgroup in {mount}: {error.strerror}")
    try:
        files.make(folder / LEAF)
        offered = (folder / "cgroup.controllers").read_text().split()
        home = Home(folder=folder, controllers=tuple(name for name in CONTROLLERS if name in offered))
        settle(home, files)
        yield home
    finally:
        for group in [path for path in folder.iterdir() if path.is_dir()]:
            remove_groups(group, files)
        remove_groups(folder, files)
        assert not folder.exists()


def test_a_real_attempt_sits_in_its_group_and_dies_with_it(open_box: Callable[..., Any], real: Home) -> None:
    box = open_box({"open_groups": lambda: SandboxGroups(real, GroupFiles())})
    found: list[tuple[list[str], int]] = []

    def kill(pid: int, group: Any) -> None:
        found.append(((group._folder / "cgroup.procs").read_text().split(), pid))
        group.kill()

    ending = run_until_it_speaks(box, kill)
    assert [pids for pids, _ in found] == [[str(pid)] for _, pid in found]
    assert (ending.kind, ending.exit_code) == ("crashed", 137)
    assert box.value("result = 1") == 1
    assert box.sandbox._groups.trouble == ""
    box.runner.run(box.sandbox._close())
    assert [path.name for path in real.folder.iterdir() if path.is_dir()] == [LEAF]


def test_what_a_killed_worker_left_is_removed_by_the_next(real: Home) -> None:
    files = GroupFiles()
    dead, living = real.folder / "nadg-sandbox-dead", SandboxGroups(real, files)
    for group in (dead, dead / "0"):
        files.make(group)
    with contextlib.closing(living), living_process() as pid:
        files.write(dead / "0", "cgroup.procs", str(pid))
        pidfd = os.pidfd_open(pid)
        SandboxGroups(real, files).close()
        assert select.select([pidfd], [], [], 10)[0], "its process was killed"
        os.close(pidfd)
        assert not dead.exists()
        assert living.folder.exists(), "that of a living one is locked"


def test_a_real_process_moves_into_the_leaf_and_controllers_are_handed_down(real: Home) -> None:
    files, inner = GroupFiles(), real.folder / "inner"
    files.make(inner)
    with living_process() as pid:
        files.write(inner, "cgroup.procs", str(pid))
        home = Home(folder=inner, controllers=real.controllers, own_pids=(pid,))
        settle(home, files)
        assert files.read(inner / LEAF, "cgroup.procs").split() == [str(pid)]
        assert sorted(files.read(inner, "cgroup.subtree_control").split()) == sorted(real.controllers)
        with contextlib.closing(SandboxGroups(home, files)) as groups:
            assert groups.make_lane() is not None


def test_the_kernel_bounds_a_real_attempt(open_box: Callable[..., Any], real: Home) -> None:
    if real.controllers != BOTH:
        pytest.skip("this machine's cgroup version 2 has not both controllers, memory and pids")
    box = open_box({"open_groups": lambda: SandboxGroups(real, GroupFiles())})

    def tighten(_pid: int, group: Any) -> None:
        assert (group._folder / "pids.max").read_text() == "9\n"
        assert int((group._folder / "memory.max").read_text()) >= 256 << 20
        GroupFiles().write(group._folder, "memory.max", str(64 << 20))

    source = WAITS.replace("60", "0.5") + "\nx = []\nwhile True: x.append(b'x' * (1 << 20))"
    ending = run_until_it_speaks(box, tighten, source)
    assert (ending.kind, ending.reason, ending.exit_code) == ("limit", "memory limit of 256 MiB reached", 137)
    source = "import threading\nfor _ in range(9): threading.Thread(target=threading.Event().wait).start()"
    assert box.run(source, limits=SMALL).reason == "thread limit of 9 reached"
    assert box.value("result = 1") == 1
