"""Rows 01 to 03, 08 to 11, 21, 22, 24, 43 and 44: other processes, new ones, and what one inherits."""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

import signal
import subprocess
import textwrap

from nadg.domain.tier import Tier
from tests.sandbox.threats.combinations import end_of_abort
from tests.sandbox.threats.hosts import SECRET, Box
from tests.sandbox.threats.words import (
    TRY,
    X86_64_ONLY,
    attack,
    check_only_inside,
    check_refused,
    is_running_as,
    outside,
    unlikely_name,
)

Neighbour = subprocess.Popen[bytes]


def test_01_environment_of_other_processes(box: Box, neighbour: Neighbour) -> None:
    check_only_inside(box, f"result = [refused(read, '/proc/{neighbour.pid}/environ')]")
    source = f"result = [refused(read, f'/proc/{{pid}}/environ') for pid in (os.getppid(), 1, {box.pid}, 'self')]"
    check_refused(box, [code for code in attack(box, source) if code != "ENOENT"])
    assert None not in attack(box, source)


def test_01_own_environment_holds_nothing_of_the_workers(box: Box) -> None:
    found = box.value("import os; result = dict(os.environ)")
    assert SECRET not in str(found)
    assert found["LANG"] == "C.UTF-8"
    assert outside(box, "result = os.environ['NADG_SECRET_TOKEN']") == SECRET


@X86_64_ONLY
def test_02_memory_of_other_processes(box: Box, neighbour: Neighbour) -> None:
    source = f"""
    own = ctypes.create_string_buffer(8)
    class Span(ctypes.Structure): _fields_ = [("start", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    span = Span(ctypes.addressof(own), 8)
    at = ctypes.addressof(span)
    result = [call(310, os.getpid(), at, 1, at, 1, 0), call(311, os.getpid(), at, 1, at, 1, 0)]
    pids = (os.getppid(), {box.pid}, {neighbour.pid})
    others = [refused(read, f"/proc/{{pid}}/mem") for pid in pids]
    others += [call(number, pid, at, 1, at, 1, 0) for pid in pids for number in (310, 311)]
    """
    assert outside(box, source) == [None, None]
    check_refused(box, attack(box, source))
    others = attack(box, source + "\n    result = others")
    assert None not in others
    check_refused(box, [code for code in others if code != "ENOENT"])


@X86_64_ONLY
def test_03_ptrace(box: Box, neighbour: Neighbour) -> None:
    """Outside any child may be traced; inside nothing, not even by asking one's own parent to."""
    source = f"""
    attach, seize, trace_me = 16, 0x4206, 0
    result = [call(101, attach, pid, 0, 0) for pid in (os.getppid(), {box.pid}, {neighbour.pid}, 1)]
    result += [call(101, seize, {neighbour.pid}, 0, 0), call(101, trace_me, 0, 0, 0)]
    """
    check_refused(box, attack(box, source))
    traced = """
    child = os.fork()
    if child == 0:
        os._exit(0 if call(101, 0, 0, 0, 0) is None else 1)
    result = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    """
    assert outside(box, traced) == 0


def test_08_inherited_descriptors(box: Box) -> None:
    assert attack(box, "result = [fd for fd in range(4096) if not refused(os.fstat, fd)]") == [0, 1, 2]
    assert attack(box, "file = os.open('a', os.O_CREAT); result = refused(os.fstat, file)") is None


def test_09_stdin_is_its_own_and_empty(box: Box) -> None:
    assert attack(box, "result = [os.read(0, 10).decode(), refused(os.write, 0, b'x')]") == ["", "EBADF"]
    assert box.run("input()").reason.startswith("EOFError")


def test_10_signals_to_the_parent_and_to_all(box: Box) -> None:
    found = attack(
        box,
        f"""
        targets = [(os.getppid(), 9), (-1, 9), ({box.pid}, 15), (0, 0), (1, 9), ({box.pid}, 19), (os.getppid(), 19)]
        result = [refused(os.kill, *target) for target in targets] + [refused(os.kill, os.getpid(), 0)]
        """,
    )
    check_refused(box, found[:-1])
    assert found[-1] is None
    assert box.value("result = 1") == 1


@X86_64_ONLY
def test_11_signals_to_a_sibling_in_every_way(box: Box, neighbour: Neighbour) -> None:
    source = f"""
    pid = {neighbour.pid}
    result = [refused(os.kill, pid, 0), call(200, pid, 0), call(234, pid, pid, 0), call(434, pid, 0),
              refused(os.setpriority, os.PRIO_PROCESS, pid, 19), refused(os.sched_getaffinity, pid)]
    """
    check_only_inside(box, source)
    more = f"""
    pid = {neighbour.pid}
    result = [refused(os.kill, pid, 9), refused(os.kill, -pid, 9), call(200, pid, 9), call(234, pid, pid, 9),
              call(129, pid, 9, 0), call(297, pid, pid, 9, 0), call(424, 3, 9, 0, 0), call(302, pid, 7, 0, 0),
              refused(os.sched_setaffinity, pid, [0]), refused(os.kill, pid, 19)]
    """
    check_refused(box, attack(box, more))
    assert neighbour.poll() is None
    neighbour.send_signal(signal.SIGTERM)
    assert neighbour.wait(10) == -signal.SIGTERM


@X86_64_ONLY
def test_21_new_namespaces_and_mounts(box: Box) -> None:
    source = """
    unshare = [call(272, flag) for flag in (0x10000000, 0x20000, 0x20000000, 0x40000000, 0x8000000, 0x4000000)]
    clones = [call(56, flag | 17, 0, 0, 0, 0) for flag in (0x10000000, 0x20000, 0x20000000, 0x40000000)]
    clones += [call(56, 0x10000 | 0x10000000, 0, 0, 0, 0), call(435, 0, 0)]
    mounts = [call(number, 0, 0, 0, 0, 0) for number in (308, 165, 166, 155, 161, 428, 429, 430, 431, 432, 433, 442)]
    result = unshare + clones + mounts
    """
    check_refused(box, attack(box, source))
    if box.combination.tier is Tier.NAMESPACES:  # elsewhere the machine may deny it outside as well
        control = "child = os.fork()\nif not child: os._exit(call(272, 0x10000000) is not None)\n"
        assert outside(box, control + "result = os.waitpid(child, 0)[1]") == 0


def test_22_no_new_process(box: Box) -> None:
    found = attack(
        box,
        """
        import multiprocessing, subprocess, threading
        result = [refused(os.fork), refused(os.forkpty), refused(subprocess.run, ["/bin/true"]),
                  refused(os.posix_spawn, "/bin/true", ["true"], {}),
                  refused(multiprocessing.Process(target=print).start)]
        done = []
        thread = threading.Thread(target=done.append, args=(1,)); thread.start(); thread.join()
        result += [os.system("true") != 0, done]
        """,
    )
    check_refused(box, found[:-2])
    assert found[-2:] == [True, [1]]
    forked = (
        "child = os.fork()\nif not child: os._exit(7)\nresult = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])"
    )
    assert outside(box, forked) == 7


@X86_64_ONLY
def test_22_a_process_by_raw_calls(box: Box) -> None:
    check_refused(box, attack(box, "result = [call(56, 17, 0, 0, 0, 0), call(57), call(58), call(435, 0, 88)]"))


def test_24_nothing_survives_its_attempt(box: Box) -> None:
    """Threads, sessions, double forks, an ignored end: when the attempt is told to be over, all of it is."""
    name = unlikely_name()
    source = f"""
    import signal, threading, time
    libc.prctl(15, {name!r}.encode(), 0, 0, 0)
    refused(os.setsid)
    for _ in range(2):
        try: os.fork()
        except OSError: pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for _ in range(3):
        threading.Thread(target=time.sleep, args=(600,)).start()
    print("ready", flush=True)
    time.sleep(600)
    """
    running = box.start(TRY + textwrap.dedent(source))
    running.first_output()
    assert len(is_running_as(name)) == 1
    running.cancel()
    assert is_running_as(name) == []


def test_43_setuid_programs_and_any_other(box: Box) -> None:
    found = attack(
        box,
        """
        write("program")
        paths = ("/usr/bin/su", "/bin/true", os.path.realpath("/bin/sh"), "program")
        result = [refused(os.execv, path, ["x"]) for path in paths]
        result.append(refused(os.execve, os.open("program", os.O_RDONLY), ["x"], {}))
        """,
    )
    check_refused(box, found)
    assert attack(box, "result = libc.prctl(39, 0, 0, 0, 0)") == 1
    run = "import subprocess\nresult = subprocess.run(['/bin/true']).returncode"
    assert outside(box, run) == 0


@X86_64_ONLY
def test_44_no_core_dump_and_no_terminal(box: Box) -> None:
    found = attack(
        box,
        """
        import fcntl, resource
        result = [libc.prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE), os.getsid(0) == os.getpid(),
                  [refused(fcntl.ioctl, 0, command, b"x") for command in (0x5412, 0x541C, 0x540E, 0x5401 + 1)],
                  refused(read, "/dev/tty"), call(157, 4, 1, 0, 0, 0), libc.prctl(3, 0, 0, 0, 0)]
        """,
    )
    assert found[:2] == [0, [0, 0]]
    assert found[2] is True
    check_refused(box, found[3])
    assert found[4:] in (["EACCES", "EPERM", 0], ["ENOENT", "EPERM", 0], ["ENXIO", "EPERM", 0])
    assert outside(box, "result = libc.prctl(3, 0, 0, 0, 0)") == 1
    ending = box.run("import os; os.abort()")
    assert ending.reason == f"ended by signal {end_of_abort(box.combination)}"
    assert not list(box.root.rglob("core*"))
