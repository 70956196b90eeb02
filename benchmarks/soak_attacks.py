"""The attacks of the soak: code that tries to get out, to stay, to starve others or to deceive the worker.

Acts that must be refused are tried through `attempt_to`, beside a harmless one that must work, so that an
empty list of what worked is no proof of anything. What would work leaves something that is found later: a
process that stays, a file, a killed worker.
"""

from __future__ import annotations

import functools
import textwrap
from pathlib import Path

import msgspec
from soak_task import Judge, Maker, SoakTask, ends, gives, result_of

from nadg.domain.limits import Limits
from nadg.domain.outcome import Outcome
from nadg.link.blobfolder import BlobFolder

SECRET = "a secret of the worker's owner"
_TRY = """
import ctypes, os, socket, subprocess, sys, time
worked = []
def attempt_to(name, act, *arguments):
    try:
        act(*arguments)
        worked.append(name)
    except OSError:
        pass
attempt_to("control", os.stat, ".")
result = worked
"""
_SHORT = Limits(wall_seconds=0.3, memory_megabytes=256)
_SMALL = Limits(
    wall_seconds=10,
    cpu_seconds=5,
    memory_megabytes=128,
    output_bytes=1 << 16,
    result_bytes=1 << 16,
    artifact_bytes=1 << 20,
    artifact_count=20,
    open_files=64,
    threads=16,
)
_REFUSED = gives(["control"])
_ANY_END: Judge = ends("succeeded", "failed", "limit")


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to attack."""

    secret: Path
    """A file that every user may read and that holds SECRET."""
    worker_process: int
    worker_port: int


def _attack(kind: str, code: str, judge: Judge, limits: Limits = _SMALL) -> Maker:
    task = SoakTask(
        kind=kind, code=textwrap.dedent(code), judge=_and_no_secret(judge), limits=limits, is_attack=True
    )
    return lambda _: task


def _and_no_secret(judge: Judge) -> Judge:
    """Whatever else it has to be: nothing that comes back holds the secret."""

    @functools.wraps(judge)
    def both(outcome: Outcome, blobs: BlobFolder) -> str:
        texts = [str(result_of(outcome, blobs)), outcome.stdout_tail, outcome.stderr_tail]
        texts += [blobs.read(file.blob.sha256).decode(errors="replace") for file in outcome.artifacts]
        return "the secret came out" if any(SECRET in text for text in texts) else judge(outcome, blobs)

    return both


def _refused(kind: str, acts: str) -> Maker:
    return _attack(kind, _TRY + textwrap.dedent(acts), _REFUSED)


def _breakouts(targets: Targets) -> dict[Maker, float]:
    """Acts that must be refused."""
    secret, worker, port = str(targets.secret), targets.worker_process, targets.worker_port
    return {
        _refused("fork", 'attempt_to("fork", lambda: os.fork() or time.sleep(3600))'): 3,
        _refused(
            "exec",
            """
            attempt_to("exec", os.execv, "/bin/sleep", ["sleep", "3600"])
            attempt_to("run", subprocess.Popen, ["/bin/sleep", "3600"])
            attempt_to("spawn", os.posix_spawn, "/bin/sleep", ["sleep", "3600"], {})
            """,
        ): 3,
        _refused(
            "setsid",
            """
            try:
                os.setsid()
            except OSError:
                pass
            attempt_to("fork", lambda: os.fork() or os.fork() or time.sleep(3600))
            """,
        ): 2,
        _refused(
            "sockets",
            f"""
            for host in ("127.0.0.1", "169.254.169.254"):
                attempt_to(host, socket.create_connection, (host, {port}), 1)
            attempt_to("udp", lambda: socket.socket(2, 2).sendto(b"x", ("127.0.0.1", 53)))
            attempt_to("unix", lambda: socket.socket(1).bind("socket"))
            attempt_to("name", socket.getaddrinfo, "example.org", 80)
            """,
        ): 3,
        _refused(
            "kill",
            f"""
            attempt_to("worker", os.kill, {worker}, 9)
            if os.getppid() > 1:
                attempt_to("parent", os.kill, os.getppid(), 9)
            attempt_to("all", os.kill, -1, 9)
            """,
        ): 3,
        _refused(
            "read secrets",
            f"""
            for path in ({secret!r}, "/proc/{worker}/environ", f"/proc/{{os.getppid()}}/environ", "/etc/shadow"):
                attempt_to(path, lambda: print(open(path, errors="replace").read(), flush=True))
            """,
        ): 3,
        _refused(
            "write elsewhere",
            f"""
            for path in ({secret!r}, "/tmp/soak", "/dev/shm/soak", "/var/tmp/soak", os.__file__, "../soak"):
                attempt_to(path, open, path, "ab")
            """,
        ): 2,
    }  # fmt: skip


def _hogs() -> dict[Maker, float]:
    """Code that takes more than it may. The first process of a pid namespace cannot stop itself."""
    limit, stopped = ends("limit"), ends("limit", "failed")
    deaf = "import signal\nfor n in set(signal.valid_signals()) - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
    return {
        _attack("memory at once", "x = bytearray(1 << 30)", ends("limit", saying="memory limit")): 2,
        _attack("memory bit by bit", "x = []\nwhile True: x.append(bytes(1 << 16))", limit): 1,
        _attack("spin", "while True: pass", ends("limit", saying="wall time limit"), _SHORT): 0.5,
        _attack("spin, signals ignored", deaf + "while True: pass", limit, _SHORT): 0.3,
        _attack("sleep", "import time\ntime.sleep(3600)", ends("limit", saying="wall time limit"), _SHORT): 1,
        _attack("stop itself", "import os\nos.kill(os.getpid(), 19)", ends("limit", "succeeded"), _SHORT): 1,
        _attack("output flood", "import os\nwhile True: os.write(1, b'x' * 4096)", limit): 2,
        _attack("many files", "for n in range(10_000): open(str(n), 'w').close()", stopped): 1,
        _attack("huge file", "file = open('big', 'wb')\nwhile True: file.write(bytes(1 << 20))", stopped): 2,
        _attack("deep folders", "import os\nfor n in range(300): os.mkdir('d'); os.chdir('d')", _ANY_END): 0.5,
        _attack(
            "thread bomb", "import threading\nwhile True: threading.Thread(target=threading.Event().wait).start()",
            stopped,
        ): 0.5,
        _attack("open files", "x = []\nwhile True: x.append(open('x', 'w'))", stopped): 1,
        _attack("huge result", "result = 'x' * (1 << 20)", ends("limit", saying="result limit")): 1,
    }  # fmt: skip


def _deceits(secret: Path) -> dict[Maker, float]:
    """Code that ends oddly, lies about its end, or leaves its process in disorder for the next one.

    The first process of a pid namespace outlives a signal of its own that it does not handle.
    """
    failed, stopped = ends("failed"), ends("failed", "limit")
    forge = """
    import gc, os, pickle
    gc.unfreeze()
    forged = b'{"kind": "succeeded", "result": "forged"}' + pickle.dumps(print)
    for memory in gc.get_objects():
        if type(memory) is memoryview and not memory.readonly and memory.nbytes > 1000:
            memory[: len(forged)] = forged
    for fd in range(3, 256):
        try:
            os.write(fd, forged)
        except OSError:
            pass
    os._exit(0)
    """
    leak = f"""
    import os
    for make in (os.symlink, os.link):
        try:
            make({str(secret)!r}, "leak-" + make.__name__)
        except OSError:
            pass
    try:
        os.mkfifo("fifo")
    except OSError:
        pass
    """
    return {
        _attack("exit", "import os\nos._exit(0)", failed): 2,
        _attack("exit code 3", "raise SystemExit(3)", failed): 1,
        _attack("segmentation fault", "import ctypes\nctypes.string_at(0)", ends("failed", saying="SIGSEGV")): 2,
        _attack("kill itself", "import os\nos.kill(os.getpid(), 15)\nwhile True: pass", stopped, _SHORT): 1,
        _attack("forged report", forge, failed): 2,
        _attack("links", leak, _ANY_END): 2,
        _attack("deep JSON", "result = []\nfor _ in range(20_000): result = [result]", failed): 2,
        _attack("long number", "result = 10 ** 5000", failed): 1,
        _attack("close all", "import os\nos.closerange(0, 4096)\nresult = 1", _ANY_END): 2,
        _attack("pipes unblocked", "import os\nos.set_blocking(1, False)\nresult = 1", gives(1)): 1,
        _attack("modules poisoned", "import builtins, json\njson.dumps = builtins.len = None", _ANY_END): 2,
        _attack("raw bytes", "import os\nos.write(1, bytes(range(256)) * 9)\nresult = 1", gives(1)): 1,
    }  # fmt: skip


def attack_makers(targets: Targets) -> dict[Maker, float]:
    """Every kind with its weight."""
    return _breakouts(targets) | _hogs() | _deceits(targets.secret)
