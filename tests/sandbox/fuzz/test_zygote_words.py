"""The worker's end of a zygote hears anything: what no zygote says ends it, its tasks are lost, nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nadg.domain.errors import SandboxUnavailable
from nadg.domain.limits import Limits
from nadg.sandbox import protocol, zygote_process
from nadg.sandbox.attempt import RunningAttempt
from nadg.sandbox.ending import read_ending
from nadg.sandbox.lane import Lane
from nadg.sandbox.process import TaskProcess
from nadg.sandbox.zygote_process import ZygoteProcess
from tests.sandbox.fuzz.descriptors import MAKERS, made, open_descriptors
from tests.sandbox.fuzz.examples import tried

ORDER = protocol.ZygoteOrder(tier="landlock", modules=(), folder="/nowhere", task_uid=None)
READY = protocol.READY + msgspec.msgpack.encode(
    protocol.ZygoteFacts(landlock_abi=7, mapped_bytes=1, resident_bytes=1, threads=1, filter_length=1)
)
TASKS = (1, 2)
ITSELF = -1
Words = Sequence[tuple[bytes, Sequence[str]]]


class Puppet(ZygoteProcess):
    """The real end of the worker; what it hears comes from the test, and its process only sleeps."""

    def _spawn(self, control: socket.socket) -> subprocess.Popen[bytes]:
        self.theirs = control.dup()
        return subprocess.Popen(["/bin/sleep", "600"], stdin=subprocess.DEVNULL)


_tasks = st.sampled_from(TASKS) | st.integers(0, (1 << 32) - 1)
_statuses = st.sampled_from([0, 9, 256, 117 << 8, 0x7F, 0x137F, 0xFFFF, -1, 1 << 30]) | st.integers(
    -(1 << 31), 99999
)
_seconds = st.sampled_from([0.0, 1.5]) | st.floats()
_started = st.builds(
    lambda task, pid: protocol.STARTED.pack(b"S", task, pid), _tasks, st.sampled_from([0, 1, 77, (1 << 32) - 1])
)
_exited = st.builds(
    lambda task, status, user, system, resident: protocol.EXITED.pack(b"X", task, status, user, system, resident),
    _tasks, _statuses, _seconds, _seconds, st.sampled_from([0, 1 << 20, (1 << 64) - 1]),
)  # fmt: skip
_refused = st.builds(lambda task, why: protocol.REFUSED.pack(b"N", task) + why, _tasks, st.binary(max_size=9))
_whole = st.one_of(
    _started, _exited, _refused, st.just(READY), st.binary(max_size=9).map(lambda text: b"F" + text)
)
_words = st.one_of(
    _whole,
    _whole,
    st.builds(lambda word, size: word[:size], _whole, st.integers(1, 40)),
    st.builds(lambda word, more: word + more, _whole, st.binary(min_size=1, max_size=3)),
    st.builds(lambda kind, rest: kind + rest, st.sampled_from([b"S", b"X", b"N", b"R", b"F", b"?"]), st.binary()),
    st.sampled_from([b"", b"R" + b"\x91" * 60_000, b"N" * 70_000, b"X" * 65_537]),
)
_kinds = st.sampled_from([["process"]] * 6 + [[]] * 6 + [[kind] for kind in sorted(MAKERS)] + [["null"] * 3])


@pytest.fixture
def lane_folder(short_folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=short_folder))


@contextlib.contextmanager
def _with_processes(kinds: Sequence[str]) -> Iterator[list[int]]:
    """As `made`, and of the kind `process` a pidfd of a sleeping one."""
    with made([kind for kind in kinds if kind != "process"]) as fds, contextlib.ExitStack() as stack:
        for _ in range(kinds.count("process")):
            sleeper = stack.enter_context(subprocess.Popen(["/bin/sleep", "600"]))
            stack.callback(sleeper.kill)
            fds.append(os.pidfd_open(sleeper.pid))
            stack.callback(os.close, fds[-1])
        yield list(fds)
        del fds[len(fds) - kinds.count("process") :]


def _may_follow(word: bytes, kinds: Sequence[str], states: dict[int, str]) -> bool:
    """Whether a zygote may say this now, from what the protocol says of it; then the task's new state is noted."""
    try:
        match word[:1]:
            case b"S":
                task, _ = protocol.read_started(word)
                fits, after = states.get(task) == "ordered" and len(kinds) == 1, "started"
            case b"X":
                task, *_ = protocol.read_exited(word)
                fits, after = states.get(task) == "started" and len(kinds) <= 1, "over"
            case b"N":
                task, _ = protocol.read_refused(word)
                fits, after = states.get(task) == "ordered" and len(kinds) <= 1, "over"
            case protocol.READY:
                protocol.read_ready(word)
                task, after = ITSELF, "ready"
                fits = states[ITSELF] == "starting" and len(kinds) <= 1
            case _:
                return False
    except protocol.Nonsense:
        return False
    if fits:
        states[task] = after
    return fits and len(word) <= protocol.MAX_MESSAGE_BYTES


@given(words=st.lists(st.tuples(_words, _kinds), max_size=5), is_ready=st.sampled_from([True, True, True, False]))
@example(words=[(protocol.STARTED.pack(b"S", 1, 7), [])], is_ready=True)
@example(words=[(protocol.STARTED.pack(b"S", 1, 7), ["event"]), (b"?", [])], is_ready=True)
@example(words=[(protocol.STARTED.pack(b"S", 1, 7), ["null"]), (b"?", [])], is_ready=True)
@example(words=[(protocol.STARTED.pack(b"S", 1, 7), ["process"])] * 2, is_ready=True)
@example(words=[(READY, [])], is_ready=True)
@tried(80)
def test_a_zygote_that_talks_nonsense_is_lost(lane_folder: Path, words: Words, is_ready: bool) -> None:
    before = sorted(open_descriptors())
    asyncio.run(_hear(lane_folder, words, is_ready))
    assert len(open_descriptors()) == len(before)


async def _hear(folder: Path, words: Words, is_ready: bool) -> None:
    raised: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context))
    lanes = [Lane(Path(tempfile.mkdtemp(dir=folder)) / "lane", None) for _ in TASKS]
    processes = dict(zip(TASKS, (TaskProcess(lane) for lane in lanes), strict=True))
    zygote = Puppet("fuzz", ORDER)
    zygote.theirs.settimeout(30)
    with zygote.theirs as theirs:
        if is_ready:
            theirs.send(READY)
            await zygote.wait_until_ready(30)
        attempts = [RunningAttempt(Limits(), process) for process in processes.values()]
        for task, process in processes.items():
            zygote.fork(task, b"/nowhere", process.fds, process)
            process.was_ordered()
        _require_orders(theirs)
        states = dict.fromkeys(TASKS, "ordered") | {ITSELF: "ready" if is_ready else "starting"}
        for word, kinds in words:
            await _say(zygote, word, kinds, states)
            if not zygote.is_alive:
                break
        zygote.kill("the test is over")
        async with asyncio.timeout(30):
            await asyncio.gather(*(attempt.wait() for attempt in attempts))
    await zygote.stop()
    for attempt in attempts:
        assert _kind(attempt) not in ("succeeded", "failed")
        attempt.process.close()
    for lane in lanes:
        lane.close()
    assert raised == []


def _require_orders(theirs: socket.socket) -> None:
    for _ in TASKS:
        order, fds, _, _ = socket.recv_fds(theirs, 4096, 8)
        assert order.endswith(b"/nowhere")
        for fd in fds:
            os.close(fd)


async def _say(zygote: Puppet, word: bytes, kinds: Sequence[str], states: dict[int, str]) -> None:
    """Say it, and see that it is heard: the zygote is lost, or this may follow."""
    with _with_processes(kinds) as fds:
        try:
            socket.send_fds(zygote.theirs, [word], fds)
        except OSError:
            return
    zygote._on_message()
    may_follow = _may_follow(word, kinds, states)
    assert zygote.is_alive is may_follow
    await asyncio.sleep(0)


def _kind(attempt: RunningAttempt) -> str:
    """What becomes of an attempt whose code never ran."""
    fd = os.memfd_create("report")
    try:
        os.ftruncate(fd, 1 << 12)
        return read_ending(attempt, fd, 1 << 12).kind
    finally:
        os.close(fd)


@given(facts=st.binary(max_size=60) | st.sampled_from([b"\x91" * 60_000, b"\x80", b"\xdf\xff\xff\xff\xff"]))
@tried(20)
def test_facts_that_cannot_be_read_are_no_readiness(facts: bytes) -> None:
    async def hear() -> None:
        zygote = Puppet("fuzz", ORDER)
        with zygote.theirs as theirs:
            theirs.send(protocol.READY + facts)
            with pytest.raises(SandboxUnavailable, match="facts about itself that cannot be read"):
                await zygote.wait_until_ready(30)
        await zygote.stop()

    asyncio.run(hear())


_SAYS = "import os, socket, sys; to = socket.socket(fileno=int(sys.argv[1])); "


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("to.send(b'X' * 29)", "does not say"),
        ("to.send(b'')", "could not start: it ended unexpectedly"),
        ("to.send(b'F' + b'no' * 9000)", "nonono"),
        ("sys.stderr.write('z' * (1 << 20) + '\\nlast words\\n')", "could not start: last words"),
        ("os.write(2, b'\\xff' * 100)", "could not start"),
        ("[to.send(os.urandom(99)) for _ in range(100_000)]", "does not say|lost|z*"),
    ],
)
def test_a_program_that_is_no_zygote_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, reason: str
) -> None:
    program = tmp_path / "no_zygote.py"
    program.write_text(_SAYS + script)
    monkeypatch.setattr(zygote_process, "_BOOT", str(program))
    before = open_descriptors()

    async def hear() -> None:
        zygote = ZygoteProcess("fuzz", ORDER)
        with pytest.raises(SandboxUnavailable, match=reason) as refused:
            await zygote.wait_until_ready(60)
        assert len(str(refused.value)) < 3000
        assert not zygote.is_alive
        await zygote.stop()

    asyncio.run(hear())
    assert len(open_descriptors()) == len(before)


def test_a_program_that_cannot_be_started_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = open_descriptors()

    async def start() -> None:
        with pytest.raises(FileNotFoundError):
            ZygoteProcess("fuzz", ORDER)
        assert len(open_descriptors()) == len(before) + 3  # those of the event loop

    asyncio.run(start())


@pytest.mark.parametrize(
    "nonsense",
    [b"X" + bytes(40), struct.pack("=cII", b"S", 999, 1), READY, b"?" * 70_000],
    ids=["size", "task", "ready", "long"],
)
def test_a_sandbox_goes_on_with_another_zygote(
    open_box: Any, monkeypatch: pytest.MonkeyPatch, nonsense: bytes
) -> None:
    """A real one, whose socket somebody else writes to as well, in the middle of an attempt."""
    theirs: list[socket.socket] = []
    spawn = ZygoteProcess._spawn

    def spawn_and_keep(self: ZygoteProcess, control: socket.socket) -> subprocess.Popen[bytes]:
        theirs.append(control.dup())
        return spawn(self, control)

    monkeypatch.setattr(ZygoteProcess, "_spawn", spawn_and_keep)
    box = open_box()
    said: list[tuple[str, str]] = []

    class Interrupting(list[tuple[str, str]]):
        def append(self, one: tuple[str, str]) -> None:
            said.append(one)
            theirs[-1].send(nonsense)

    ending = box.run("print('here', flush=True)\nimport time; time.sleep(60)\nresult = 1", output=Interrupting())
    assert said == [("stdout", "here\n")]
    assert (ending.kind, ending.result) == ("crashed", None)
    assert "the sandbox process was lost: it said what a zygote does not say" in ending.reason
    assert box.value("result = 6 * 7") == 42
    assert len(theirs) >= 2
    for one in theirs:
        one.close()
