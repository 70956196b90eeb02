"""A real zygote without a worker: the test holds the other end of its control socket."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nadg.sandbox import protocol
from nadg.sandbox.folder import SandboxFolder
from nadg.sandbox.job import LENGTHS, Bounds, Job, Span, decode_report, encode_job
from nadg.sandbox.memory import create_memory
from nadg.sandbox.policy import TASK_UID
from nadg.sandbox.process import received
from nadg.sandbox.zygote_process import boot_command, clean_environment
from tests.sandbox.fuzz.descriptors import open_descriptors

PATIENCE_SECONDS = 40
MEMORY_BYTES = 1 << 19
BOUNDS = Bounds(5, 64, 1024, 1024, 10, 64, 8)
_RULESET = "landlock-ruleset"


class Told(NamedTuple):
    """What came of one task: its wait status and what it said on its channel and on stdout."""

    wait_status: int
    said: bytes
    stdout: bytes
    memory: bytes


class BareZygote:
    """Takes orders and jobs that the test makes up."""

    def __init__(self, root: Path, tier: str) -> None:
        uid = TASK_UID if os.geteuid() == 0 else None
        self._uid = uid
        self.folder = SandboxFolder(root, uid)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = protocol.ZygoteOrder(tier=tier, modules=(), folder=str(self.folder.path), task_uid=uid)
        with theirs:
            self._process = subprocess.Popen(
                boot_command(theirs.fileno(), order),
                env=clean_environment(f"{self.folder.path}/settings"),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                cwd="/",
            )
        word, _ = self.next_word()
        assert word[:1] == protocol.READY, word
        self._task = 1 << 31
        self.lane = self.make_lane("1")
        self.server_pid = (_children(self._process.pid) or [self._process.pid])[0]
        self.require_good_run()
        self._usual = self._own_descriptors()

    def make_lane(self, name: str) -> Path:
        lane = self.folder.path / "attempts" / "lanes" / name
        for path in (lane, lane / "work", lane / "tmp", lane / "given"):
            path.mkdir(mode=0o700)
            if self._uid is not None:
                os.chown(path, self._uid, self._uid)
        return lane

    def next_word(self) -> tuple[bytes, list[int]]:
        """What it says next; an empty word at its end."""
        readable, _, _ = select.select([self.control], [], [], PATIENCE_SECONDS)
        assert readable, "the zygote says nothing"
        word, fds, _, _ = socket.recv_fds(self.control, 1 << 16, 1)
        return word, fds

    def good_order(self, channel: int, stdout: int) -> int:
        """The number of the task that is ordered."""
        self._task += 1
        order = [protocol.FORK.pack(self._task, True, 1024, 10), os.fsencode(self.lane)]
        socket.send_fds(self.control, order, [channel, stdout, stdout])
        return self._task

    def end_of(self, task: int) -> int:
        """The wait status of a task; all others that have started meanwhile are killed, and end too."""
        open_tasks, status = Counter([task]), 0  # the same number may be given twice
        while open_tasks.total() > 0:
            word, fds = self.next_word()
            assert word, "the zygote ended"
            if word[:1] == b"S":
                number, _ = protocol.read_started(word)
                if number != task:
                    open_tasks[number] += 1
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(fds[0], signal.SIGKILL)
                os.close(fds[0])
            elif word[:1] == b"X":
                number, ended, _, _ = protocol.read_exited(word)
                open_tasks[number] -= 1
                status = ended if number == task else status
            else:
                number, reason = protocol.read_refused(word)
                assert number != task, reason
        return status

    def run(self, message: bytes, memory: int, value_fds: list[int], *, gives_memory: bool = True) -> Told:
        """One good order with this word as its job."""
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reader, writer = os.pipe()
        with channel, open(reader, "rb") as output:
            with theirs:
                task = self.good_order(theirs.fileno(), writer)
            os.close(writer)
            if message:
                fds = [memory, *value_fds] if gives_memory else value_fds
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(channel, [message], fds)
            if not message or len(message) > protocol.JOB.size:
                channel.shutdown(socket.SHUT_WR)
            status = self.end_of(task)
            said = b""
            for told, fds in received(channel):
                said = said if told == protocol.WORK_FOLDER else told
                for fd in fds:
                    os.close(fd)
            os.set_blocking(reader, False)
            stdout = output.read() or b""
        with contextlib.suppress(OSError):
            return Told(status, said, stdout, os.pread(memory, MEMORY_BYTES, 0))
        return Told(status, said, stdout, b"")

    def require_good_run(self) -> None:
        """A good order with a good job gives a right run."""
        source = b"result = 6 * 7"
        job = encode_job(Job(source=Span(-1, 0, len(source)), bounds=BOUNDS), source)
        with create_memory(job, MEMORY_BYTES) as memory:
            told = self.run(protocol.JOB.pack(MEMORY_BYTES), memory, [])
        assert (told.wait_status, told.said) == (0, protocol.SET_UP), told[:3]
        total, head = LENGTHS.unpack_from(told.memory)
        assert decode_report(told.memory[LENGTHS.size : LENGTHS.size + head]).kind == "succeeded"
        assert told.memory[LENGTHS.size + head : LENGTHS.size + total] == b"42"

    def _own_descriptors(self) -> int:
        """Open in the server; lists of files apart, of which it keeps as many as there were lanes."""
        try:
            return sum(_RULESET not in target for target in open_descriptors(self.server_pid))
        except PermissionError:  # it hides from everyone but root
            return 0

    def rulesets(self) -> int:
        try:
            return sum(_RULESET in target for target in open_descriptors(self.server_pid))
        except PermissionError:
            return 0

    def require_nothing_left(self) -> None:
        assert _children(self.server_pid) == []
        assert self._own_descriptors() == self._usual

    def close(self) -> None:
        self.control.close()
        assert self._process.wait(PATIENCE_SECONDS) in (0, -signal.SIGKILL, 9)
        self.folder.remove()


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.contextmanager
def bare_zygote(root: Path, tier: str) -> Iterator[BareZygote]:
    zygote = BareZygote(root, tier)
    try:
        yield zygote
    finally:
        zygote.close()
