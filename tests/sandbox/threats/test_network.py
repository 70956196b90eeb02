"""Rows 12 to 20: sockets of every family, and kernel services that reach past the file system."""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.sandbox.threats.hosts import Box
from tests.sandbox.threats.words import X86_64_ONLY, attack, check_only_inside, check_refused, outside


def test_12_tcp(box: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        check_only_inside(box, f"result = [refused(socket.create_connection, ('127.0.0.1', {port}), 2)]")
        listener.setblocking(False)
        listener.accept()[0].close()  # the control's
        with pytest.raises(BlockingIOError):
            listener.accept()
    check_refused(box, attack(box, "result = [refused(socket.create_connection, ('169.254.169.254', 80), 2)]"))


def test_13_every_other_kind_of_socket(box: Box) -> None:
    found = attack(
        box,
        """
        kinds = [(2, 2, 0), (2, 3, 1), (10, 2, 0), (16, 3, 0), (17, 3, 0), (40, 1, 0), (1, 2, 0), (1, 1, 0), (38, 5, 0),
                 (2, 1, 262), (21, 5, 0), (29, 3, 1), (30, 2, 0), (44, 3, 0), (15, 3, 2)]
        result = [refused(socket.socket, *kind) for kind in kinds]
        result += [refused(socket.socketpair, socket.AF_UNIX, kind) for kind in (2, 5)]
        result += [refused(socket.socketpair, socket.AF_UNIX, 1)]
        """,
    )
    check_refused(box, found[:-1])
    assert found[-1] is None
    check_only_inside(
        box, "result = [refused(socket.socket, *kind) for kind in ((2, 2, 0), (1, 1, 0), (16, 3, 0))]"
    )


@X86_64_ONLY
def test_13_high_halves_of_arguments_do_not_hide_a_family(box: Box) -> None:
    source = (
        "result = [call(41, (1 << 32) | 2, 1, 0), call(41, 2, (1 << 40) | 1, 0), call(53, (7 << 32) | 1, 2, 0, 0)]"
    )
    check_refused(box, attack(box, source))


def test_13_names_cannot_be_looked_up(box: Box) -> None:
    assert box.run("import socket; socket.getaddrinfo('example.org', 80)").kind == "failed"


def test_14_ipv6(box: Box) -> None:
    check_refused(box, attack(box, "result = [refused(socket.create_connection, ('::1', 9), 2)]"))
    assert outside(box, "result = refused(socket.create_connection, ('::1', 9), 2)") in (
        "EAFNOSUPPORT",
        "ECONNREFUSED",
        "EADDRNOTAVAIL",
    )


def _is_silent(box: Box, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.setblocking(False)
        if not path.startswith("\0"):
            Path(path).chmod(0o777)
        source = f"""
        left, right = socket.socketpair()
        result = [refused(lambda: socket.socket(socket.AF_UNIX).connect({path!r})), refused(left.connect, {path!r}),
                  refused(left.sendto, b"x", {path!r}), refused(left.send, b"x"), right.recv(1).decode()]
        """
        found = attack(box, source)
        check_refused(box, found[:3])
        assert found[3:] == [None, "x"]
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert outside(box, f"result = refused(lambda: socket.socket(socket.AF_UNIX).connect({path!r}))") is None
        listener.accept()[0].close()


def test_15_abstract_unix_sockets(box: Box) -> None:
    _is_silent(box, f"\0nadg-test-{os.getpid()}-{box.combination.name}")


def test_16_pathname_unix_sockets(box: Box) -> None:
    _is_silent(box, str(box.folder("sockets") / "docker.sock"))


def test_17_descriptors_do_not_travel(box: Box) -> None:
    check_only_inside(
        box,
        """
        left, right = socket.socketpair()
        sent = refused(socket.send_fds, left, [b"x"], [0])
        if sent: refused(left.send, b"x")
        result = [sent, refused(socket.recv_fds, right, 1, 1)]
        """,
    )


def _absent(box: Box, numbers: tuple[int, ...]) -> None:
    """The calls are there outside, with whatever else is wrong about these arguments; inside they are not."""
    source = f"result = [call(number, 0, 0, 0, 0, 0) for number in {numbers}]"
    check_refused(box, attack(box, source))
    assert set(outside(box, source)) != {"ENOSYS"}


@X86_64_ONLY
def test_18_io_uring(box: Box) -> None:
    _absent(box, (425, 426, 427))


@X86_64_ONLY
def test_19_userfaultfd_bpf_perf(box: Box) -> None:
    _absent(box, (323, 321, 298))


@X86_64_ONLY
def test_20_keyrings(box: Box) -> None:
    _absent(box, (248, 249, 250))
