"""Cgroups as a sandbox uses them, on an imitation in plain files."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg.domain.limits import Limits
from nadg.domain.tier import Tier
from nadg.sandbox.cgroup_home import LEAF, NotDelegated
from nadg.sandbox.cgroups import SandboxGroups, bounds, counts, try_out
from tests.sandbox.cgroup_trials import living_process, run_until_it_speaks
from tests.sandbox.imitated_cgroups import BOTH, ImitatedFiles

LIMIT_NAMES = ("memory.swap.max", "memory.oom.group", "memory.max", "pids.max")


def test_without_groups_the_sandbox_says_so_and_works(open_box: Callable[..., Any]) -> None:
    def refuse() -> SandboxGroups:
        raise NotDelegated("it is not ours")

    box = open_box({"open_groups": refuse})
    assert box.sandbox.report.cgroup == "not used: it is not ours"
    assert box.value("result = 1") == 1


@given(st.integers(64, 1 << 20), st.integers(0, 1 << 40), st.integers(1, 4096))
def test_the_bound_is_never_below_what_the_attempt_may_have(megabytes: int, extra: int, threads: int) -> None:
    wanted = bounds(Limits(memory_megabytes=megabytes, threads=threads), extra, BOTH)
    assert tuple(wanted) == LIMIT_NAMES
    assert int(wanted["memory.max"]) == (megabytes << 20) + extra + (48 << 20)
    assert wanted["pids.max"] == str(threads)


@pytest.mark.parametrize(
    ("controllers", "names"),
    [((), ()), (("pids",), LIMIT_NAMES[3:]), (("memory",), LIMIT_NAMES[:3])],
)
def test_only_controllers_that_are_there_are_used(controllers: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert tuple(bounds(Limits(), 0, controllers)) == names


@given(st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.integers(0, 1 << 62)))
def test_counts_are_read(numbers: dict[str, int]) -> None:
    assert counts("".join(f"{name} {number}\n" for name, number in numbers.items()) + "max\nx -1\n") == numbers


@pytest.fixture
def files(tmp_path: Path) -> ImitatedFiles:
    return ImitatedFiles(tmp_path / "home")


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_an_attempt_is_put_in_then_bounded_and_nothing_is_left(
    open_box: Callable[..., Any], files: ImitatedFiles
) -> None:
    box = open_box({"open_groups": files.groups}, forked_ahead=0)
    pids: list[int] = []

    def kill(pid: int, _group: Any) -> None:
        pids.append(pid)
        _kill(pid)

    run_until_it_speaks(box, kill)
    (folder,) = files.home.glob("nadg-sandbox-*")
    lane = f"{folder.name}/0"
    assert files.written[0] == (f"{folder.name}/cgroup.subtree_control", "+memory +pids")
    assert (f"{lane}/cgroup.procs", str(pids[0])) in files.written
    set_ = [(path, text) for path, text in files.written if path.rpartition("/")[2] in LIMIT_NAMES]
    assert [path for path, _ in set_[:4]] == [f"{lane}/{name}" for name in LIMIT_NAMES]
    assert set_[-1] == (f"{lane}/pids.max", "9")
    assert box.sandbox.report.cgroup == "each attempt has one of its own, which bounds memory and pids"
    before = len(files.written)
    run_until_it_speaks(box, kill)
    assert files.written[before:] == [(f"{lane}/cgroup.procs", str(pids[1]))], "the same limits are not set again"
    assert not files.names_written("cgroup.kill")
    box.runner.run(box.sandbox._close())
    assert [path.name for path in files.home.iterdir() if path.is_dir()] == [LEAF]


def test_files_in_memory_are_not_counted_against_the_codes_memory(
    open_box: Callable[..., Any], files: ImitatedFiles, tier: Tier
) -> None:
    box = open_box({"open_groups": files.groups}, forked_ahead=0)
    written: list[list[str]] = []
    for artifact_bytes in (1 << 20, 1 << 30):
        before = len(files.names_written("memory.max"))
        box.value("result = 1", limits=Limits(artifact_bytes=artifact_bytes, memory_megabytes=300))
        written.append(files.names_written("memory.max")[before:])
    assert int(written[0][0]) > (300 + 48) << 20
    if tier is Tier.NAMESPACES:
        assert int(written[1][0]) - int(written[0][0]) == (1 << 30) - (1 << 20)
    else:
        assert written[1] == [], "on disk they are none of its memory"


@pytest.mark.parametrize(
    ("counted", "kind", "reason"),
    [
        (1, "limit", "memory limit of 256 MiB reached"),
        (0, "crashed", "killed by the system, most likely because the machine ran out of memory"),
    ],
)
def test_a_kill_for_want_of_memory_is_the_limits(
    open_box: Callable[..., Any], files: ImitatedFiles, counted: int, kind: str, reason: str
) -> None:
    box = open_box({"open_groups": files.groups}, forked_ahead=0)

    def kill(pid: int, group: Any) -> None:
        events = group._folder / "memory.events"
        before = counts(events.read_text())["oom_kill"]
        events.write_text(f"oom 3\noom_kill {before + counted}\n")
        _kill(pid)

    for _ in range(2):  # the second one counts from what the first one left
        ending = run_until_it_speaks(box, kill)
        assert (ending.kind, ending.reason) == (kind, reason)
    ending = run_until_it_speaks(box, lambda pid, _: _kill(pid))
    assert ending.kind == "crashed", "an earlier attempt's count is not this one's"


@pytest.mark.parametrize("name", ["cgroup.procs", "memory.max", "memory.swap.max", "pids.max", "cgroup.kill"])
def test_a_file_that_fails_is_noted_once_and_fails_no_attempt(
    open_box: Callable[..., Any], files: ImitatedFiles, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    files.failing[name] = PermissionError(errno.EACCES, "not now")
    box = open_box({"open_groups": files.groups}, forked_ahead=0)
    for megabytes in (100, 200):
        assert box.value("result = 1", limits=Limits(memory_megabytes=megabytes)) == 1
    ending = box.run("while True: pass", limits=Limits(wall_seconds=0.3))
    assert ending.reason == "wall time limit of 0.3 s reached"
    box.sandbox._groups.mover.submit(int).result()
    assert len([record for record in caplog.records if "not now" in record.getMessage()]) == 1
    assert "not now" in box.sandbox._groups.trouble


def test_a_process_leaves_a_group_whose_limits_cannot_be_set(files: ImitatedFiles) -> None:
    """Those of the attempt before may be tighter."""
    groups = files.groups()
    lane = groups.make_lane()
    assert lane is not None
    with contextlib.closing(groups), living_process() as pid:
        pidfd = os.pidfd_open(pid)
        lane.admit(pidfd)
        lane.limit(Limits(memory_megabytes=64), 0, pidfd)
        groups.mover.submit(int).result()
        files.failing["memory.max"] = OSError(errno.ENODEV, "gone")
        lane.limit(Limits(memory_megabytes=65), 0, pidfd)
        os.close(pidfd)
    moves = [(path.split("/")[-2], text) for path, text in files.written if path.endswith("cgroup.procs")]
    assert moves == [("0", str(pid)), (LEAF, str(pid))]


def test_a_group_that_was_given_up_takes_no_process(files: ImitatedFiles) -> None:
    groups = files.groups()
    lane = groups.make_lane()
    assert lane is not None
    with contextlib.closing(groups), living_process() as pid:
        pidfd = os.pidfd_open(pid)
        may_move = threading.Event()
        groups.mover.submit(may_move.wait)
        lane.admit(pidfd)
        files.failing["pids.max"] = OSError(errno.ENODEV, "gone")
        lane.limit(Limits(), 0, None)
        may_move.set()
        groups.mover.submit(int).result()
        os.close(pidfd)
        assert files.names_written("cgroup.procs") == []


@pytest.mark.parametrize("absent", ["memory.swap.max", "memory.oom.group", "cgroup.kill"])
def test_files_that_older_kernels_lack_are_done_without(tmp_path: Path, absent: str) -> None:
    files = ImitatedFiles(tmp_path / "home", absent=(absent,))
    groups = files.groups()
    try_out(groups)
    lane = groups.make_lane()
    assert lane is not None
    lane.kill()
    groups.close()
    assert groups.trouble == ""


@pytest.mark.parametrize("absent", ["memory.max", "pids.max"])
def test_without_what_bounds_there_are_no_groups(tmp_path: Path, absent: str) -> None:
    files = ImitatedFiles(tmp_path / "home", absent=(absent,))
    with pytest.raises(NotDelegated, match=f"could not be given limits: .*{absent}"):
        try_out(files.groups())
    assert [path.name for path in files.home.iterdir() if path.is_dir()] == [LEAF]
