"""The tests' end: starts hosts by combination, one of each for all tests that do not harm it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import msgspec

from nadg.domain.errors import SandboxUnavailable
from nadg.sandbox import Ending
from tests.sandbox.endings import ReadsEndings
from tests.sandbox.folder_blobs import FolderBlobs
from tests.sandbox.threats.combinations import Combination, obstacle

_PROJECT: Final = Path(__file__).parents[3]
SECRET: Final = "hunter2"
"""Stands in the environment of the launcher, and so of all hosts."""
_LIMITS: Final = {"wall_seconds": 30, "cpu_seconds": 20, "memory_megabytes": 512}
_ANSWER_SECONDS: Final = 60
_STOP_SECONDS: Final = 10
_UNSHARE: Final = """
import ctypes, errno
done = ctypes.CDLL(None, use_errno=True).unshare(0x7e020000 & ~0x02000000)
result = errno.errorcode[ctypes.get_errno()] if done else ""
"""
"""All namespaces but the one of control groups, which the sandbox does not use."""


class Connection:
    """JSON lines to and from one host."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._reader = stream.makefile("rb")
        self.pid = 0
        self._inbox: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._numbers = 0
        self.has_ended = False

    def receive(self) -> dict[str, Any]:
        try:
            line = self._reader.readline()
        except TimeoutError:
            self.has_ended = True  # or as good as: it does not answer
            raise
        if not line:
            self.has_ended = True
            raise ConnectionError("the host process ended")
        message: dict[str, Any] = json.loads(line)
        if "broken" in message:
            raise AssertionError(message["broken"])
        return message

    def send(self, message: dict[str, Any]) -> None:
        try:
            self._stream.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.has_ended = True
            raise

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def next_about(self, number: int) -> dict[str, Any]:
        """The next message about one run; those about others are kept."""
        while not self._inbox[number]:
            message = self.receive()
            self._inbox[message["run"]].append(message)
        return self._inbox[number].pop(0)

    def close(self) -> None:
        """Returns when the host has closed its sandbox; harmless a second time."""
        try:
            self._stream.settimeout(_STOP_SECONDS)
            self._stream.shutdown(socket.SHUT_WR)
            while self._reader.readline():
                pass
        except OSError:
            pass
        self._reader.close()
        self._stream.close()


class Running:
    """An attempt that was started and may be watched, cancelled, waited for."""

    def __init__(self, connection: Connection, request: dict[str, Any]) -> None:
        self._connection = connection
        self._number = connection.next_number()
        self.output: list[tuple[str, str]] = []
        self.output_length = 0
        self.was_cancelled = False
        self._ending: Ending | None = None
        connection.send({"run": self._number, "request": request})

    def first_output(self) -> str:
        """What it printed first."""
        while not self.output:
            self._take()
        return self.output[0][1]

    def cancel(self, turns: int = 0) -> None:
        """Cancel it, after so many turns of the host's event loop; returns when it is dead."""
        self._connection.send({"run": self._number, "turns": turns})
        while not self.was_cancelled:
            self._take()

    def ending(self) -> Ending:
        while self._ending is None:
            self._take()
        return self._ending

    def _take(self) -> None:
        message = self._connection.next_about(self._number)
        if "output" in message:
            stream, text = message["output"]
            self.output.append((stream, text))
        elif "ending" in message:
            self.output_length = message["length"]
            self._ending = msgspec.convert(message["ending"], Ending)
        else:
            self.was_cancelled = True


@dataclasses.dataclass
class Box(ReadsEndings):
    """A running sandbox in some combination."""

    combination: Combination
    root: Path
    blobs: FolderBlobs
    report: dict[str, Any]
    connection: Connection
    launcher: Launcher
    pid: int
    """Of the process that uses the sandbox."""

    def start(self, source: str, *, limits: dict[str, Any] | None = None, **request: Any) -> Running:
        """Start an attempt without waiting for it. Inputs are given by name and path."""
        inputs = {name: str(path) for name, path in request.pop("inputs", {}).items()}
        full = {"source": source, "limits": {**_LIMITS, **(limits or {})}, "inputs": inputs, **request}
        return Running(self.connection, full)

    def run(self, source: str, *, output: list[tuple[str, str]] | None = None, **request: Any) -> Ending:
        """Run one attempt to its end."""
        running = self.start(source, **request)
        ending = running.ending()
        if output is not None:
            output += running.output
        return ending

    def control(self, source: str) -> Any:
        """The result of the same source without a sandbox, as the user that the tasks are."""
        return self.launcher.control(self.combination, source)

    def folder(self, name: str) -> Path:
        """A folder of the tasks' user, outside any attempt."""
        made = self.root / name
        made.mkdir(exist_ok=True)
        _give(made, self.combination.task_uid)
        return made


class Launcher:
    """Forks hosts and controls; the one process per test session that loads the project for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.sandbox.threats.host_process", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                cwd=_PROJECT,
                env=os.environ | {"NADG_SECRET_TOKEN": SECRET},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._outside = self.make_folder(0)
        self._outside.chmod(0o777)
        self._shared: dict[str, Box | SandboxUnavailable] = {}
        self._obstacles: dict[str, str] = {}

    def make_folder(self, uid: int) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        folder.chmod(0o755)
        _give(folder, uid)
        return folder

    def _order(self, combination: Combination, root: Path, **order: Any) -> Connection:
        ours, theirs = socket.socketpair()
        ours.settimeout(_ANSWER_SECONDS)
        who = {"starter": combination.starter, "uid": combination.uid, "task_uid": combination.task_uid}
        message = json.dumps({**who, "root": str(root), **order}).encode()
        with theirs:
            socket.send_fds(self._control, [message], [theirs.fileno()])
        return Connection(ours)

    def control(self, combination: Combination, source: str) -> Any:
        """Run source unconfined, as the user that the tasks of this combination are."""
        connection = self._order(combination, self._outside, control=source)
        try:
            return connection.receive()["result"]
        finally:
            connection.close()

    def obstacle(self, combination: Combination) -> str:
        """Why this machine cannot show a combination; empty where it can."""
        name = combination.name
        if name not in self._obstacles:
            self._obstacles[name] = obstacle(combination, lambda one: str(self.control(one, _UNSHARE)))
        return self._obstacles[name]

    def open(self, combination: Combination, *, policy: dict[str, Any] | None = None, **order: Any) -> Box:
        """A host of its own, for a test that harms it. Raises SandboxUnavailable where its sandbox does."""
        root = self.make_folder(combination.uid)
        full = {"tier": combination.tier.value, "zygotes": {"lean": []}, **(policy or {})}
        connection = self._order(combination, root, policy=full, **order)
        try:
            hello = connection.receive()
            if "unavailable" in hello:
                raise SandboxUnavailable(hello["unavailable"])
        except BaseException:
            connection.close()
            raise
        blobs = FolderBlobs(root / "blobs")
        return Box(combination, root, blobs, hello["ready"], connection, self, hello["pid"])

    def shared(self, combination: Combination) -> Box:
        """The one host of a combination, another where a test brought it down.

        Raises SandboxUnavailable as often as it is asked for in vain.
        """
        name = combination.name
        known = self._shared.get(name)
        if known is None or (isinstance(known, Box) and known.connection.has_ended):
            try:
                self._shared[name] = self.open(combination)
            except SandboxUnavailable as error:
                self._shared[name] = error
        found = self._shared[name]
        if isinstance(found, SandboxUnavailable):
            raise found
        return found

    def close(self) -> None:
        for box in self._shared.values():
            if isinstance(box, Box):
                box.connection.close()
        self._control.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:  # a host does not end: some attack stopped it
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _give(folder: Path, uid: int) -> None:
    if os.geteuid() == 0:
        os.chown(folder, uid, uid)
