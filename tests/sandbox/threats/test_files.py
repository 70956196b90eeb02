"""Rows 04 to 07 and 34 to 36: what is read, written, shortened, linked and left behind."""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

import nadg
from nadg.domain.errors import SandboxUnavailable
from tests.sandbox.threats.combinations import Combination
from tests.sandbox.threats.hosts import Box, Launcher
from tests.sandbox.threats.words import TRY, attack, check_only_inside, check_refused, outside


def _plant(box: Box, name: str, mode: int = 0o644) -> Path:
    """A file of the tasks' user outside any attempt."""
    planted = box.folder("planted") / name
    planted.write_text("TOKEN=1")
    planted.chmod(mode)
    if os.geteuid() == 0:
        os.chown(planted, box.combination.task_uid, box.combination.task_uid)
    return planted


def test_04_files_of_the_worker_and_of_people(box: Box) -> None:
    secret = _plant(box, ".env")
    check_only_inside(
        box,
        f"""
        result = [refused(read, {str(secret)!r}), refused(os.listdir, {str(secret.parent)!r}),
                  refused(read, "/etc/passwd"), refused(os.listdir, "/"), refused(os.listdir, "/etc")]
        """,
    )
    home = attack(
        box, "result = [refused(os.listdir, os.path.expanduser('~root/.ssh')), refused(os.listdir, '/root')]"
    )
    assert set(home) <= {"EACCES", "ENOENT"}
    assert attack(
        box, "result = [refused(read, os.__file__), refused(os.listdir, os.path.dirname(os.__file__))]"
    ) == [
        None,
        None,
    ]


def test_04_beside_an_editable_install_only_packages_are_readable(box: Box) -> None:
    project = Path(nadg.__file__).parents[2]
    found = attack(
        box,
        f"""
        import nadg
        result = [refused(read, nadg.__file__), refused(os.listdir, {str(project)!r}),
                  refused(read, {str(project / "pyproject.toml")!r})]
        """,
    )
    assert found[0] is None
    assert set(found[1:]) <= {"EACCES", "ENOENT"}


def test_05_writing_outside_the_work_folder(box: Box) -> None:
    folder = box.folder("open")
    victim, moved = _plant(box, "to remove"), _plant(box, "to move")
    check_only_inside(
        box,
        f"""
        folder, victim, moved = {str(folder)!r}, {str(victim)!r}, {str(moved)!r}
        unique = f"/dev/shm/nadg-{{os.getpid()}}-{{id(folder)}}"
        def make(path):
            write(path)
            os.remove(path)
        result = [refused(make, folder + "/x"), refused(make, unique), refused(os.mkdir, folder + "/d"),
                  refused(os.truncate, victim, 1), refused(open, victim, "a"),
                  refused(os.rename, moved, folder + "/moved"), refused(os.remove, victim)]
        """,
    )
    check_refused(
        box,
        attack(
            box,
            """
            result = [refused(write, os.__file__), refused(os.truncate, os.__file__, 0), refused(os.remove, os.__file__),
                      refused(write, os.path.dirname(os.__file__) + "/new.py"), refused(write, "../x"),
                      refused(os.mkdir, "../d"), refused(os.rename, os.__file__, "mine.py")]
            """,
        ),
    )
    inside = "result = [refused(write, 'in'), refused(os.remove, 'in'), refused(write, '/dev/null')]"
    assert attack(box, inside) == [None, None, None]


def test_05_modes_and_times_of_foreign_files_stay(box: Box) -> None:
    """The calls may seem to succeed, as shutil expects; nothing changes."""
    victim = _plant(box, "victim", 0o666)
    os.utime(victim, (1, 1))
    source = f"""
    victim = {str(victim)!r}
    result = [refused(os.chmod, victim, 0o600), refused(os.utime, victim, (5, 5))]
    refused(os.setxattr, victim, "user.a", b"b")
    """
    attack(box, source)
    found = victim.stat()
    assert (found.st_mode & 0o777, found.st_mtime) == (0o666, 1)
    assert os.listxattr(victim) == []
    assert outside(box, source) == [None, None]
    found = victim.stat()
    assert (found.st_mode & 0o777, found.st_mtime) == (0o600, 5)


def test_06_folder_of_another_running_task(box: Box) -> None:
    victim = box.start("import os, time; open('mine', 'w').write('x'); print(os.getcwd()); time.sleep(60)")
    folder = victim.first_output().strip()
    spy = textwrap.dedent(
        f"""
        own, folder = os.getcwd(), {folder!r}
        seen = refused(read, folder + "/mine")
        write("mine")
        acts = lambda place: [refused(read, place + "/mine"), refused(write, place + "/mine"),
            refused(write, place + "/new"), refused(os.listdir, place), refused(os.remove, place + "/mine")]
        result = [seen, acts(folder) if folder != own else None, acts(own)]
        """
    )
    seen, foreign, own = box.value(TRY + spy)
    victim.cancel()
    assert own == [None] * 5
    check_refused(box, [seen])
    if foreign is not None:  # in namespaces every task sees its own folder at one and the same path
        check_refused(box, foreign)


def test_06_nothing_of_an_earlier_task_is_left(box: Box) -> None:
    box.value("open('mine', 'w').write('x'); import tempfile; open(tempfile.gettempdir() + '/t', 'w').write('x')")
    assert box.value("import os, tempfile; result = [os.listdir(), os.listdir(tempfile.gettempdir())]") == [[], []]


def test_07_a_kernel_that_does_not_cover_truncation_is_refused(
    launcher: Launcher, combination: Combination
) -> None:
    """Below ABI 3 Landlock lets files be shortened that may not be written: nothing is run there."""
    with pytest.raises(SandboxUnavailable, match="Landlock"):
        launcher.open(combination, landlock_abi=2)
    box = launcher.open(combination, landlock_abi=3)
    try:
        assert box.report["landlock_abi"] == 3
        victim = _plant(box, "long")
        source = f"""
        victim = {str(victim)!r}
        result = [refused(os.truncate, victim, 0), refused(os.open, victim, os.O_TRUNC),
                  refused(os.open, victim, os.O_RDONLY | os.O_TRUNC)]
        """
        check_refused(box, attack(box, source))
        assert victim.read_text() == "TOKEN=1"
        assert outside(box, source) == [None] * 3
        assert victim.read_text() == ""
    finally:
        box.connection.close()


_ODD_FILES = {
    "34": "os.symlink('/etc/passwd', name)",
    "35": "os.link(os.__file__, name)",
    "36-fifo": "os.mkfifo(name)",
    "36-socket": "os.mknod(name, 0o140666)",
    "36-device": "os.mknod(name, 0o20666, os.makedev(1, 3))",
}


def _leaves_only_a_file(box: Box, act: str) -> str | None:
    source = f"name = 'odd'\nwrite('file')\nresult = refused(lambda: {act})"
    ending = box.run(TRY + source)
    assert ending.kind == "succeeded", ending.reason
    assert box.artifacts(ending) == {"file": b"x"}
    code: str | None = box.decoded(ending)
    return code


def test_34_a_symlink_is_no_way_out(box: Box) -> None:
    check_refused(box, [_leaves_only_a_file(box, _ODD_FILES["34"])])
    made = str(box.folder("links"))
    assert outside(box, f"result = refused(os.symlink, '/etc/passwd', {made!r} + '/sym')") is None


def test_35_a_hard_link_is_no_way_out(box: Box) -> None:
    check_refused(box, [_leaves_only_a_file(box, _ODD_FILES["35"])])
    check_refused(box, [_leaves_only_a_file(box, "os.link('file', name)")])
    made = str(box.folder("links"))
    assert (
        outside(box, f"write({made!r} + '/a'); result = refused(os.link, {made!r} + '/a', {made!r} + '/b')")
        is None
    )


@pytest.mark.parametrize("kind", ["36-fifo", "36-socket", "36-device"])
def test_36_what_would_block_the_collector(box: Box, kind: str) -> None:
    check_refused(box, [_leaves_only_a_file(box, _ODD_FILES[kind])])
    if kind != "36-device":  # which needs a capability outside as well
        made = str(box.folder("links") / kind)
        assert outside(box, f"name = {made!r}\nresult = refused(lambda: {_ODD_FILES[kind]})") is None


def test_05_given_files_are_not_changed(box: Box) -> None:
    """A given file may be a hard link to the blob: no right to write, shorten, move or mark it."""
    given = _plant(box, "given", 0o666)
    os.utime(given, (1, 1))
    before = given.stat()
    source = """
    path = inputs["in"]
    for act in (lambda: os.chmod(path, 0), lambda: os.utime(path), lambda: os.setxattr(path, "user.a", b"b")):
        refused(act)
    result = [refused(write, path), refused(open, path, "a"), refused(open, path, "r+"), refused(os.truncate, path, 0),
              refused(os.remove, path), refused(os.rename, path, "mine"), refused(write, path + "2"),
              refused(os.replace, os.__file__, path), refused(os.link, path, "mine")]
    """
    check_refused(box, attack(box, source, inputs={"in": given}))
    after = given.stat()
    assert given.read_text() == "TOKEN=1"
    assert (before.st_mode, before.st_mtime, before.st_uid) == (after.st_mode, after.st_mtime, after.st_uid)
    assert attack(box, "result = open(inputs['in']).read()", inputs={"in": given}) == "TOKEN=1"
    assert outside(box, f"result = refused(write, {str(given)!r})") is None
