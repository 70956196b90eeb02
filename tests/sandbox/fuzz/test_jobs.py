"""A task that waits for its job is given anything: code runs from a whole job, behind every layer, or not."""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nadg.sandbox import child, protocol
from nadg.sandbox.job import LENGTHS, Job, Span, encode_job
from tests.sandbox.fuzz.bare_zygote import BOUNDS, MEMORY_BYTES, BareZygote
from tests.sandbox.fuzz.descriptors import kinds, made
from tests.sandbox.fuzz.examples import tried

_SOURCE = b"""
import _socket
held = True
for escape in (lambda: open({secret!r}), lambda: open('/etc/shadow'), _socket.socket):
    try:
        escape()
        held = False
    except OSError:
        pass
print('ran', held)
"""
_PLAIN: dict[str, Any] = msgspec.to_builtins(Job(source=Span(-1, 0, 0), bounds=BOUNDS))
_SIZE = MEMORY_BYTES

_numbers = st.one_of(
    st.sampled_from([-1, -2, 0, 1, 15, 16, 17, 4096, _SIZE, _SIZE + 1, 1 << 31, 1 << 40, 1 << 62, (1 << 63) - 1])
    | st.sampled_from([1 << 63, (1 << 64) - 1, -(1 << 20), -(1 << 63)]),
    st.integers(-(1 << 63), (1 << 64) - 1),
)
_scalars = st.one_of(
    _numbers, st.sampled_from([math.nan, math.inf, -math.inf, -0.5]), st.text(max_size=5), st.none()
)
_anything = st.recursive(
    _scalars | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_spans = st.tuples(st.integers(-2, 3) | _numbers, _numbers, _numbers).map(list)
_values_given: dict[str, st.SearchStrategy[Any]] = {
    "needs": st.dictionaries(st.text(max_size=3), _spans, max_size=2),
    "items": _spans,
    "rows": st.tuples(st.sampled_from(["a.csv", "a.jsonl", "a"]), _spans, _spans).map(list),
    "parts": st.lists(st.tuples(_spans, st.text(max_size=3)).map(list), max_size=2),
    "mode": st.sampled_from(["items", "rows", "once"]),
}
_changed_fields = st.one_of(
    st.fixed_dictionaries({}, optional=_values_given),
    st.dictionaries(st.sampled_from([*Job.__struct_fields__, "other"]), _anything, max_size=2),
    st.tuples(st.integers(0, len(BOUNDS.__struct_fields__) - 1), _scalars).map(
        lambda change: {"bounds": [*_PLAIN["bounds"][: change[0]], change[1], *_PLAIN["bounds"][change[0] + 1 :]]}
    ),
    _spans.map(lambda span: {"source": span}),
)
_heads = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"\x91" * 100_000, b"\x81\xa1a" * 50_000, b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]),
    _anything.map(msgspec.msgpack.encode),
    _changed_fields.map(lambda fields: msgspec.msgpack.encode({**_PLAIN, **fields})),
)


def _unsealed(head: bytes, size: int) -> int:
    fd = os.memfd_create("unsealed")
    os.ftruncate(fd, size)
    os.pwrite(fd, head, 0)
    return fd


def _sealed(head: bytes, size: int) -> int:
    fd = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    os.pwrite(fd, head, 0)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


def _read_only(head: bytes, size: int) -> int:
    fd = _unsealed(head, size)
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    os.close(fd)
    return again


_MEMORIES: dict[str, Callable[[bytes, int], int]] = {
    "sealed": _sealed, "unsealed": _unsealed, "read-only": _read_only,
    "small": lambda head, _size: _sealed(head, len(head)), "empty": lambda _head, _size: _sealed(b"", 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def source(zygote: BareZygote) -> bytes:
    secret = zygote.folder.path.parent / "secret"
    secret.touch(0o644)
    return _SOURCE.replace(b"{secret!r}", repr(str(secret)).encode())


def _with_its_source(head: bytes, source: bytes) -> bytes:
    """A head that keeps the place of its source finds it there."""
    try:
        job = msgspec.msgpack.decode(head)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return head
    if isinstance(job, dict) and job.get("source") == _PLAIN["source"]:
        return msgspec.msgpack.encode({**job, "source": [-1, 0, len(source)]})
    return head


@given(
    head=_heads,
    stated=st.none() | _numbers.map(abs),
    memory=st.sampled_from(["sealed"] * 4 + sorted(_MEMORIES)),
    word=st.none()
    | st.none()
    | st.binary(max_size=12)
    | _numbers.map(lambda n: protocol.JOB.pack(abs(n) % (1 << 64))),
    values=st.lists(kinds, max_size=3),
)
@example(head=msgspec.msgpack.encode(_PLAIN), stated=None, memory="sealed", word=None, values=["folder"])
@example(head=msgspec.msgpack.encode(_PLAIN), stated=None, memory="small", word=None, values=[])
@example(head=msgspec.msgpack.encode(_PLAIN), stated=None, memory="sealed", word=b"", values=[])
@tried(100)
def test_code_runs_from_a_whole_job_in_full_confinement_or_not_at_all(
    zygote: BareZygote,
    source: bytes,
    head: bytes,
    stated: int | None,
    memory: str,
    word: bytes | None,
    values: list[str],
) -> None:
    head = _with_its_source(head, source)
    size = (len(head) if stated is None else stated) % (1 << 64)
    content = (LENGTHS.pack(0, size) + head + source)[:_SIZE]
    sent = protocol.JOB.pack(_SIZE if memory != "small" else len(content)) if word is None else word
    with made(values) as value_fds:
        fd = _MEMORIES[memory](content, _SIZE)
        told = zygote.run(sent, fd, value_fds)
        os.close(fd)
    if told.said != protocol.SET_UP:
        assert told.stdout == b""
        assert os.waitstatus_to_exitcode(told.wait_status) in (child.SETUP_FAILED_STATUS, 0, -9)
    assert told.stdout in (b"", b"ran True\n")
    if told.stdout:
        assert told.said == protocol.SET_UP
    zygote.require_nothing_left()


def test_the_job_that_the_others_are_made_of_runs(zygote: BareZygote, source: bytes) -> None:
    for size, ran in ((len(source), True), (len(source) + _SIZE, False)):
        job = encode_job(Job(source=Span(-1, 0, size), bounds=BOUNDS), source)
        fd = _sealed(job, _SIZE)
        told = zygote.run(protocol.JOB.pack(_SIZE), fd, [])
        os.close(fd)
        assert (told.said, told.stdout) == (protocol.SET_UP, b"ran True\n" if ran else b"")
        assert told.wait_status == 0
        assert (b"a value is not where the job says" in told.memory) != ran


@pytest.mark.parametrize("place", range(1, len(BOUNDS.__struct_fields__)))
def test_a_limit_below_zero_would_be_none(zygote: BareZygote, source: bytes, place: int) -> None:
    bounds = [*_PLAIN["bounds"][:place], -1, *_PLAIN["bounds"][place + 1 :]]
    head = msgspec.msgpack.encode({**_PLAIN, "bounds": bounds, "source": [-1, 0, len(source)]})
    fd = _sealed(LENGTHS.pack(0, len(head)) + head + source, _SIZE)
    told = zygote.run(protocol.JOB.pack(_SIZE), fd, [])
    os.close(fd)
    assert told.stdout == b""
    assert told.said.startswith(b"receive_job: Expected `int` >= 0")


def test_a_job_that_is_cut_or_has_no_memory_is_none(zygote: BareZygote, source: bytes) -> None:
    job = encode_job(Job(source=Span(-1, 0, len(source)), bounds=BOUNDS), source)
    fd = _sealed(job, _SIZE)
    longer = zygote.run(protocol.JOB.pack(_SIZE) + b"more", fd, [])
    without = zygote.run(protocol.JOB.pack(_SIZE), fd, [], gives_memory=False)
    shorter = zygote.run(protocol.JOB.pack(_SIZE)[:-1], fd, [])
    os.close(fd)
    for told in (longer, without, shorter):
        assert os.waitstatus_to_exitcode(told.wait_status) == child.SETUP_FAILED_STATUS
        assert told.said.startswith(b"receive_job: ")
        assert told.stdout == b""
