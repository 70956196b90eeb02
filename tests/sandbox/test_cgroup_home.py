"""Which cgroup a worker may use, from files made for the purpose, and how it is made ready."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg.sandbox.cgroup_home import LEAF, Home, NotDelegated, find_home, own_group, settle
from tests.sandbox.imitated_cgroups import BOTH, ImitatedFiles
from tests.sandbox.test_host import host_files

MOUNT = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = "30 23 0:9 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n41 31 0:31 / /mnt/uni rw - cgroup2 none rw\n"
GROUP = "sys/fs/cgroup/user.slice/scope"
ME = os.getpid()


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "folder"),
    [
        ("0::/\n", MOUNT, "/sys/fs/cgroup"),
        ("0::/user.slice/scope\n", MOUNT, "/sys/fs/cgroup/user.slice/scope"),
        ("8:pids:/x\n0::/a b\n", HYBRID, "/mnt/uni/a b"),
        ("0::/a/b:c\n", MOUNT.replace("/ /sys", "/a /sys"), "/sys/fs/cgroup/b:c"),
        ("0::/a\n", MOUNT.replace("/sys/fs/cgroup", r"/with\040space"), "/with space/a"),
        (
            "0::/ab\n",
            MOUNT.replace("/ /sys", "/a /sys") + MOUNT.replace("/sys", "/second"),
            "/second/fs/cgroup/ab",
        ),
    ],
)
def test_the_own_group_is_found_in_the_mount_that_shows_it(cgroup: str, mountinfo: str, folder: str) -> None:
    assert str(own_group(cgroup, mountinfo)) == folder


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "reason"),
    [
        ("", MOUNT, "no cgroup version 2"),
        ("8:pids:/\n1:name=systemd:/\n", MOUNT, "no cgroup version 2"),
        ("0::/../other\n", MOUNT, "not in the cgroups that it sees"),
        ("0::/a\n", "", "no mount shows"),
        ("0::/a\n", MOUNT.replace("cgroup2", "cgroup"), "no mount shows"),
        ("0::/ab\n", MOUNT.replace("/ /sys", "/a /sys"), "no mount shows"),
    ],
)
def test_a_group_out_of_sight_is_not_used(cgroup: str, mountinfo: str, reason: str) -> None:
    with pytest.raises(NotDelegated, match=reason):
        own_group(cgroup, mountinfo)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0\n\r", exclude_categories=["Z", "C"]), min_size=1
)


@given(st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4))
def test_any_name_of_a_group_is_kept(names: list[str]) -> None:
    path = "/".join(names)
    assert str(own_group(f"0::/{path}\n", MOUNT)) == f"/sys/fs/cgroup/{path}"


def _host(root: Path, *, group: str = GROUP, procs: str = f"{ME}\n", **changes: str) -> Path:
    """A host whose worker is in a group that was delegated to it, before changes to that group's files."""
    files = {"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "", "cgroup.procs": procs}
    home = group.removesuffix(f"/{LEAF}")
    return host_files(
        root,
        **{
            "proc/self/cgroup": f"0::/{group.removeprefix('sys/fs/cgroup/')}\n",
            "proc/self/mountinfo": MOUNT,
            **{f"{home}/{name}": text for name, text in (files | changes).items()},
        },
    )


@pytest.mark.parametrize(
    ("offered", "controllers"),
    [("cpu memory pids\n", BOTH), ("memory\n", ("memory",)), ("cpu pids io\n", ("pids",))],
)
def test_what_there_is_of_the_controllers_is_used(
    tmp_path: Path, offered: str, controllers: tuple[str, ...]
) -> None:
    found = find_home(_host(tmp_path, **{"cgroup.controllers": offered}))
    assert found == Home(folder=tmp_path / GROUP, controllers=controllers, own_pids=(ME,))


def test_in_its_leaf_a_worker_uses_the_group_around_it(tmp_path: Path) -> None:
    found = find_home(_host(tmp_path, group=f"{GROUP}/{LEAF}", procs=""))
    assert found == Home(folder=tmp_path / GROUP, controllers=BOTH)


def test_its_own_children_may_be_moved(tmp_path: Path) -> None:
    root = _host(tmp_path, procs=f"{ME}\n700\n701\n")
    host_files(root, **{"proc/700/stat": f"700 (a) b) S {ME} 1", "proc/701/stat": "701 (x) S 700 1"})
    assert find_home(root).own_pids == (ME, 700, 701)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cgroup.controllers": "cpu io\n"}, "neither the memory nor the pids controller"),
        ({"cgroup.controllers": ""}, "neither the memory nor the pids controller"),
        ({"procs": f"{ME}\n0\n"}, "not this worker's"),
        ({"procs": f"{ME}\n1\n"}, "not this worker's"),
        ({"procs": f"{ME}\n702\n"}, "not this worker's"),
        ({"procs": f"{ME}\n703\n"}, "not this worker's"),
    ],
)
def test_a_group_that_is_of_no_use_or_shared_is_left_alone(
    tmp_path: Path, changes: dict[str, str], reason: str
) -> None:
    root = _host(tmp_path, **changes)
    host_files(root, **{"proc/702/stat": "702 (sh) S 1 1", "proc/1/stat": "1 (init) S 0 1"})
    with pytest.raises(NotDelegated, match=reason):
        find_home(root)


def test_a_group_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    root = _host(tmp_path)
    assert find_home(root), "the control: it is delegated"
    (root / GROUP / "cgroup.subtree_control").unlink()
    with pytest.raises(NotDelegated, match="not delegated to it"):
        find_home(root)


def test_first_the_worker_moves_then_controllers_are_handed_down(tmp_path: Path) -> None:
    files = ImitatedFiles(tmp_path / "home")
    settle(Home(folder=files.home, controllers=BOTH, own_pids=(7, 8)), files)
    assert files.written == [
        (f"{LEAF}/cgroup.procs", "7"),
        (f"{LEAF}/cgroup.procs", "8"),
        ("cgroup.subtree_control", "+memory +pids"),
    ]


def test_what_is_settled_is_left_as_it_is(tmp_path: Path) -> None:
    files = ImitatedFiles(tmp_path / "home")
    (files.home / "cgroup.subtree_control").write_text("memory cpu pids\n")
    settle(Home(folder=files.home, controllers=BOTH), files)
    assert files.written == []


def test_where_controllers_cannot_be_handed_down_the_worker_moves_back(tmp_path: Path) -> None:
    files = ImitatedFiles(tmp_path / "home")
    files.failing["cgroup.subtree_control"] = OSError(errno.EBUSY, "busy")
    with pytest.raises(OSError, match="busy"):
        settle(Home(folder=files.home, controllers=BOTH, own_pids=(7,)), files)
    assert files.written == [(f"{LEAF}/cgroup.procs", "7"), ("cgroup.procs", "7")]
    assert not (files.home / LEAF).exists()
