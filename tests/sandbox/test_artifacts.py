"""What is collected from the work folder, what is not, and that everything is removed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from nadg.domain.limits import Limits
from nadg.domain.tier import Tier
from nadg.sandbox import Policy, Sandbox
from nadg.sandbox.collect import collect
from nadg.sandbox.remove import remove_tree

LIMITS = Limits()


def _collect(folder: Path, blobs: Any) -> tuple[dict[str, bytes], tuple[str, ...]]:
    fd = os.open(folder, os.O_RDONLY)
    try:
        files, notes = collect(fd, blobs, LIMITS)
    finally:
        os.close(fd)
    return {one.name: blobs.path(one.blob.sha256).read_bytes() for one in files}, notes


def test_files_come_by_relative_name_sorted(box: Any) -> None:
    ending = box.run("import os; os.makedirs('b/c'); open('b/c/z', 'w').write('1'); open('a', 'w').write('2')")
    assert [one.name for one in ending.artifacts] == ["a", "b/c/z"]
    assert box.artifacts(ending) == {"a": b"2", "b/c/z": b"1"}


def test_temporary_files_are_no_artifacts(box: Any) -> None:
    source = """
import os, tempfile
with tempfile.NamedTemporaryFile(delete=False) as file: file.write(b"x")
result = [os.path.dirname(file.name) == os.environ["TMPDIR"] == os.path.expanduser("~")]
os.replace(file.name, "moved")
"""
    ending = box.run(source)
    assert ending.kind == "succeeded", ending.reason
    assert box.artifacts(ending) == {"moved": b"x"}


def test_odd_names_are_text(box: Any) -> None:
    ending = box.run(r"open(b'\xff\xe2\x82\xac', 'w').write('x'); open('a\nb', 'w').close()")
    assert set(box.artifacts(ending)) == {"\\xff\u20ac", "a\nb"}


def test_links_and_pipes_made_inside_are_refused_there(box: Any) -> None:
    source = """
import os
open("file", "w").write("x")
refused = []
for name, make in {
    "symlink": lambda: os.symlink("/etc/passwd", "sym"),
    "hardlink": lambda: os.link("file", "hard"),
    "fifo": lambda: os.mkfifo("fifo"),
    "device": lambda: os.mknod("dev", 0o20666, 0x103),
}.items():
    try: make()
    except OSError: refused.append(name)
result = refused
"""
    ending = box.run(source)
    assert box.decoded(ending) == ["symlink", "hardlink", "fifo", "device"]
    assert box.artifacts(ending) == {"file": b"x"}


def test_the_collector_takes_regular_files_with_one_name_only(tmp_path: Path, box: Any) -> None:
    """As if the sandbox had let everything through: nothing else is followed, read or waited for."""
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secrets").mkdir()
    (folder / "good").write_text("good")
    (folder / "sym").symlink_to(tmp_path / "secret")
    (folder / "symdir").symlink_to(tmp_path / "secrets")
    os.link(tmp_path / "secret", folder / "hard")
    os.mkfifo(folder / "fifo")
    os.mknod(folder / "socket", stat.S_IFSOCK)
    refused = ["fifo", "hard", "socket", "sym", "symdir"]
    if os.geteuid() == 0:
        os.mknod(folder / "device", stat.S_IFCHR, os.makedev(1, 5))  # as /dev/zero, which never ends
        refused.insert(0, "device")
    files, notes = _collect(folder, box.blobs)
    assert files == {"good": b"good"}
    assert [note.partition(":")[0] for note in notes] == refused


def test_too_deep_folders_are_noted_not_walked(box: Any) -> None:
    source = """
import os
for _ in range(300):
    os.mkdir("d"); os.chdir("d")
open("bottom", "w").close()
"""
    ending = box.run(source)
    assert ending.kind == "succeeded", ending.reason
    assert ending.artifacts == ()
    assert "deeper" in ending.notes[0]
    box.settle()
    assert not list((box.root / "attempts").rglob("work/d"))


def test_a_very_deep_and_a_wide_tree_are_removed(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    for index in range(200):
        (top / f"w{index}").mkdir()
        (top / f"w{index}" / "f").touch()
    (top / "link").symlink_to(tmp_path)
    (top / "locked").mkdir(mode=0)
    (tmp_path / "kept").touch()
    remove_tree(top)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_without_rights_is_collected_around_and_removed(box: Any) -> None:
    ending = box.run("import os; os.mkdir('x', 0); open('ok', 'w').close()")
    assert "ok" in box.artifacts(ending)
    box.settle()
    assert not list((box.root / "attempts").rglob("work/x"))


def test_nothing_is_left_of_a_closed_sandbox(open_box: Any) -> None:
    """No process, no folder, no descriptor."""
    before = _open_descriptors()
    box = open_box()
    box.run("open('a', 'w').close()")
    box.run("import os; os.abort()")
    processes = psutil.Process().children(recursive=True)
    box.runner.run(box.sandbox.__aexit__(None, None, None))
    assert list((box.root / "attempts").iterdir()) == []
    assert len(psutil.Process().children(recursive=True)) < len(processes)
    opened_by_runner = 3  # its selector and its self-pipe
    assert _open_descriptors() <= before + opened_by_runner


def test_what_a_killed_worker_left_is_cleared_by_the_next_one(open_box: Any) -> None:
    box = open_box()
    root = box.root / "attempts"
    (root / "sandbox-dead" / "0" / "work").mkdir(parents=True)
    second = Sandbox(Policy(zygotes={"lean": ()}), root, box.blobs)
    box.runner.run(second.__aenter__())
    assert not (root / "sandbox-dead").exists()
    assert len(list(root.iterdir())) == 2
    box.runner.run(second.__aexit__(None, None, None))
    assert box.value("result = 1") == 1


def test_warm_processes_are_replaced_in_time(open_box: Any) -> None:
    box = open_box(recycle_after=3)
    seen: set[int] = set()
    for _ in range(40):
        assert box.value("result = 1") == 1
        seen |= set(_zygotes())
    assert len(seen) > 1
    assert len(_zygotes()) <= 4


def test_many_files_are_removed_after_the_ending_is_told(open_box: Any) -> None:
    """Their removal takes its time in a thread; `close` waits for it."""
    box = open_box()
    ending = box.run(
        "import os\nfor n in range(3000): os.mkdir(f'd{n}'); open(f'd{n}/f', 'w').close()\nos._exit(3)"
    )
    assert ending.exit_code == 3
    removals = set(box.sandbox._pool._removals)
    assert box.value("import os; result = os.listdir()") == []
    box.runner.run(box.sandbox.__aexit__(None, None, None))
    assert all(removal.done() for removal in removals)
    assert list((box.root / "attempts").iterdir()) == []


@pytest.mark.parametrize("are_stopped", [False, True])
def test_the_children_of_a_killed_worker_die(short_folder: Path, tier: Tier, are_stopped: bool) -> None:
    """SIGKILL to the worker: its zygotes and their tasks die with it, even those that somebody stopped."""
    source = """
import asyncio, sys
from pathlib import Path
from nadg.domain.tier import Tier
from nadg.sandbox import Policy, Request, Sandbox
async def main():
    policy = Policy(tier=Tier(sys.argv[2]), zygotes={"lean": ()}, forked_ahead=0)
    async with Sandbox(policy, Path(sys.argv[1]), None) as sandbox:
        code = "import time; print('here'); time.sleep(60)"
        await sandbox.run(Request(attempt_id="a", source=code), lambda _, text: print(text, flush=True))
asyncio.run(main())
"""
    command = [sys.executable, "-c", source, str(short_folder / f"killed-{tier}-{are_stopped}"), tier.value]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "here\n"
    pidfds = [os.pidfd_open(child.pid) for child in psutil.Process(worker.pid).children(recursive=True)]
    assert len(pidfds) >= 2
    if are_stopped:
        for pidfd in pidfds:
            signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], 20)[0], "a process outlived its worker"
        os.close(pidfd)


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _zygotes() -> list[int]:
    """The warm processes of all sandboxes of this process."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it may just end
            if "nadg/sandbox/boot.py" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found
