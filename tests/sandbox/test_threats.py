"""The threats the sandbox is built against, one test each, run as ordinary attempts.

Code that spins, sleeps or ignores signals is in `test_limits.py`; a failing layer in `test_fail_closed.py`.

Every denial has a positive control: the same act succeeds outside, or a harmless neighbour of it inside, so
that a refusal means the sandbox.
"""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.limits import Limits
from nadg.sandbox import Request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the landlock tier is Linux's")

TRY = '''
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def refused(act, *arguments, **named):
    """The name of the error that an act fails with; None where it works."""
    try:
        act(*arguments, **named)
    except OSError as error:
        return errno.errorcode.get(error.errno, "OSError")
    return None
def call(number, *arguments):
    """A raw system call; the name of its error."""
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return errno.errorcode[ctypes.get_errno()] if done == -1 else None
def read(path):
    with open(path, "rb") as file: return file.read(1)
def write(path):
    with open(path, "wb") as file: return file.write(b"x")
'''

X86_64_ONLY = pytest.mark.skipif(os.uname().machine != "x86_64", reason="call numbers of x86-64")


def attack(box: Any, source: str, **request: Any) -> Any:
    """The result of an attempt whose code may use the words of TRY."""
    return box.value(TRY + textwrap.dedent(source), **request)


def raw_call(number: int, *arguments: int) -> int:
    """The same system call made outside, for controls; the errno, or 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(one) for one in arguments])
    return ctypes.get_errno() if done == -1 else 0


def test_01_environment_of_other_processes(box: Any) -> None:
    parent, worker = attack(
        box,
        f"""
        result = [refused(read, f"/proc/{{os.getppid()}}/environ"), refused(read, "/proc/{os.getpid()}/environ")]
        """,
    )
    assert (parent, worker) == ("EACCES", "EACCES")
    assert Path("/proc/self/environ").read_bytes()


def test_01_own_environment_holds_nothing_of_the_workers(open_box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NADG_SECRET_TOKEN", "hunter2")
    environment = open_box().value("import os; result = dict(os.environ)")
    assert "hunter2" not in str(environment)
    assert environment["LANG"] == "C.UTF-8"


@X86_64_ONLY
def test_02_memory_of_other_processes(box: Any) -> None:
    found = attack(
        box,
        """
        result = [refused(read, f"/proc/{os.getppid()}/mem"), call(310, os.getppid(), 0, 0, 0, 0, 0),
                  call(311, os.getppid(), 0, 0, 0, 0, 0)]
        """,
    )
    assert found == ["EACCES", "ENOSYS", "ENOSYS"]
    assert raw_call(310, os.getpid(), 0, 0, 0, 0, 0) == 0


@X86_64_ONLY
def test_03_ptrace(box: Any) -> None:
    assert attack(box, "result = [call(101, 16, os.getppid(), 0, 0), call(101, 0, 0, 0, 0)]") == ["ENOSYS"] * 2


def test_04_files_of_the_worker_and_of_people(box: Any) -> None:
    secret = box.root / ".env"
    secret.write_text("TOKEN=1")
    secret.chmod(0o644)
    source = f"""
    paths = [{str(secret)!r}, "/etc/passwd", "/etc/hostname", os.path.expanduser("~root/.ssh"), "/", "/tmp", "/home"]
    result = [refused(read if os.path.isfile(p) else os.listdir, p) for p in paths]
    result += [refused(read, os.__file__), refused(os.listdir, os.path.dirname(os.__file__))]
    """
    found = attack(box, source)
    assert all(code in ("EACCES", "ENOENT") for code in found[:-2]), found
    assert found[0] == "EACCES"
    assert found[-2:] == [None, None]


def test_04_beside_an_editable_install_only_packages_are_readable(box: Any) -> None:
    import nadg

    source_folder = Path(nadg.__file__).parent.parent
    found = attack(
        box,
        f"""
        import nadg
        result = [refused(read, nadg.__file__), refused(os.listdir, {str(source_folder.parent)!r}),
                  refused(read, {str(source_folder.parent / "pyproject.toml")!r})]
        """,
    )
    assert found[0] is None
    assert all(code in ("EACCES", "ENOENT") for code in found[1:])


def test_05_writing_outside_the_work_folder(box: Any) -> None:
    found = attack(
        box,
        """
        places = ["/tmp/x", os.__file__, "../x", "/dev/shm/x", os.path.dirname(os.__file__) + "/new.py"]
        result = [refused(write, place) for place in places]
        result += [refused(os.truncate, os.__file__, 0), refused(os.remove, os.__file__), refused(os.mkdir, "../d"),
                   refused(os.rename, os.__file__, "mine.py")]
        result += [refused(write, "inside"), refused(os.remove, "inside"), refused(write, "/dev/null")]
        """,
    )
    assert all(code in ("EACCES", "EXDEV", "EROFS") for code in found[:-3]), found
    assert found[-3:] == [None, None, None]


def test_05_modes_and_times_of_foreign_files_stay(box: Any) -> None:
    victim = box.root / "victim"
    victim.write_text("x")
    victim.chmod(0o666)
    os.utime(victim, (1, 1))
    if os.geteuid() == 0:
        os.chown(victim, 61184, 61184)
    attack(
        box,
        f"""
        victim = {str(victim)!r}
        for act in (lambda: os.chmod(victim, 0), lambda: os.utime(victim), lambda: os.setxattr(victim, "user.a", b"b")):
            refused(act)
        """,
    )
    found = victim.stat()
    assert (found.st_mode & 0o777, found.st_mtime) == (0o666, 1)


def test_06_folder_of_another_running_task(box: Any) -> None:
    async def two_at_once() -> Any:
        told = asyncio.get_running_loop().create_future()
        victim_source = "import os, time; write = open('mine', 'w').write('x'); print(os.getcwd()); time.sleep(60)"
        request = Request(attempt_id="v", source=victim_source)
        victim = asyncio.create_task(box.sandbox.run(request, lambda _stream, text: told.set_result(text.strip())))
        folder = await told
        spy = f"folder = {folder!r}\n" + textwrap.dedent(
            """
            result = [refused(read, folder + "/mine"), refused(write, folder + "/mine"),
                      refused(write, folder + "/new"), refused(os.listdir, folder),
                      refused(os.remove, folder + "/mine")]
            write("mine"); result.append(refused(read, os.getcwd() + "/mine"))
            """
        )
        ending = await box.sandbox.run(Request(attempt_id="s", source=TRY + spy), lambda *_: None)
        victim.cancel()
        await asyncio.wait([victim])
        return box.decoded(ending)

    assert box.runner.run(two_at_once()) == ["EACCES"] * 5 + [None]


def test_08_inherited_descriptors(box: Any) -> None:
    found = attack(box, "result = [fd for fd in range(4096) if not refused(os.fstat, fd)]")
    assert found == [0, 1, 2]


def test_09_stdin_is_its_own_and_empty(box: Any) -> None:
    assert attack(box, "result = [os.read(0, 10).decode(), refused(os.write, 0, b'x')]") == ["", "EBADF"]


def test_10_signals_to_others(box: Any) -> None:
    found = attack(
        box,
        f"""
        result = [refused(os.kill, os.getppid(), 9), refused(os.kill, -1, 9), refused(os.kill, {os.getpid()}, 15),
                  refused(os.kill, 0, 0), refused(os.kill, os.getpid(), 0)]
        """,
    )
    assert found == ["EPERM"] * 4 + [None]
    assert box.value("result = 1") == 1


@X86_64_ONLY
def test_11_signals_to_a_sibling_in_every_way(box: Any) -> None:
    sibling = subprocess.Popen(["sleep", "60"], user=61184 if os.geteuid() == 0 else None)
    try:
        found = attack(
            box,
            f"""
            pid = {sibling.pid}
            result = [refused(os.kill, pid, 9), refused(os.kill, -pid, 9), call(200, pid, 9), call(234, pid, pid, 9),
                      call(129, pid, 9, 0), call(297, pid, pid, 9, 0), call(434, pid, 0), call(424, 3, 9, 0, 0),
                      call(302, pid, 7, 0, 0), refused(os.setpriority, os.PRIO_PROCESS, pid, 19),
                      refused(os.sched_setaffinity, pid, [0]), refused(os.sched_getaffinity, pid)]
            """,
        )
        assert None not in found, found
        assert sibling.poll() is None
        sibling.send_signal(signal.SIGTERM)
        assert sibling.wait(10) == -signal.SIGTERM
    finally:
        sibling.kill()
        sibling.wait()


def test_12_tcp(box: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = attack(
            box,
            f"""
            result = [refused(socket.create_connection, (host, port), 2) for host, port in
                      (("127.0.0.1", {port}), ("169.254.169.254", 80))]
            """,
        )
        assert found == ["EACCES", "EACCES"]
        socket.create_connection(("127.0.0.1", port), 2).close()


def test_13_every_other_kind_of_socket(box: Any) -> None:
    found = attack(
        box,
        """
        kinds = [(2, 2, 0), (2, 3, 1), (10, 2, 0), (16, 3, 0), (17, 3, 0), (40, 1, 0), (1, 2, 0), (1, 1, 0), (38, 5, 0)]
        result = [refused(socket.socket, *kind) for kind in kinds]
        result += [refused(socket.socketpair, socket.AF_UNIX, kind) for kind in (2, 5, 1)]
        """,
    )
    assert found == ["EACCES"] * 11 + [None]
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def test_13_high_halves_of_arguments_do_not_hide_a_family(box: Any) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("call numbers of x86-64")
    found = attack(
        box,
        "result = [call(41, (1 << 32) | 2, 1, 0), call(41, 2, (1 << 40) | 1, 0), call(53, (7 << 32) | 1, 2, 0, 0)]",
    )
    assert found == ["EACCES"] * 3


def test_13_names_cannot_be_looked_up(box: Any) -> None:
    assert box.run("import socket; socket.getaddrinfo('example.org', 80)").kind == "failed"


def test_14_ipv6(box: Any) -> None:
    assert attack(box, "result = refused(socket.create_connection, ('::1', 9), 2)") == "EACCES"


@pytest.mark.parametrize("kind", ["abstract", "pathname"])
def test_15_16_unix_sockets(box: Any, kind: str) -> None:
    path = str(box.root / "listener") if kind == "pathname" else "\0nadg-test-listener"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.setblocking(False)
        if kind == "pathname":
            Path(path).chmod(0o777)
        source = f"""
        left, right = socket.socketpair()
        result = [refused(lambda: socket.socket(socket.AF_UNIX).connect({path!r})), refused(left.connect, {path!r}),
                  refused(left.sendto, b"x", {path!r}), refused(left.send, b"x"), right.recv(1).decode()]
        """
        assert attack(box, source) == ["EACCES", "EACCES", "EACCES", None, "x"]
        with pytest.raises(BlockingIOError):
            listener.accept()
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(path)
        listener.accept()[0].close()


def test_17_descriptors_do_not_travel(box: Any) -> None:
    found = attack(
        box,
        """
        left, right = socket.socketpair()
        result = [refused(socket.send_fds, left, [b"x"], [0]), refused(socket.recv_fds, right, 1, 1)]
        """,
    )
    assert found == ["EACCES", "EACCES"]


@X86_64_ONLY
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("18 io_uring_setup", 425),
        ("18 io_uring_enter", 426),
        ("18 io_uring_register", 427),
        ("19 userfaultfd", 323),
        ("19 bpf", 321),
        ("19 perf_event_open", 298),
        ("20 add_key", 248),
        ("20 request_key", 249),
        ("20 keyctl", 250),
        ("21 unshare", 272),
        ("21 setns", 308),
        ("21 mount", 165),
        ("21 umount2", 166),
        ("21 pivot_root", 155),
        ("21 chroot", 161),
        ("21 fsopen", 430),
        ("21 move_mount", 429),
        ("43 memfd_create", 319),
        ("02 pidfd_getfd", 438),
        ("02 kcmp", 312),
        ("05 open_by_handle_at", 304),
        ("shmget", 29),
        ("semget", 64),
        ("msgget", 68),
        ("mq_open", 240),
        ("setuid", 105),
        ("capset", 126),
        ("personality", 135),
        ("iopl", 172),
        ("init_module", 175),
        ("kexec_load", 246),
        ("splice", 275),
        ("vmsplice", 278),
        ("inotify_init", 253),
        ("fanotify_init", 300),
        ("clone3", 435),
        ("seccomp", 317),
        ("landlock_create_ruleset", 444),
        ("modify_ldt", 154),
        ("no such call", 999),
    ],
)
def test_calls_that_do_not_exist_inside(box: Any, name: str, number: int) -> None:
    assert attack(box, f"result = call({number}, 0, 0, 0, 0, 0)") == "ENOSYS", name


@X86_64_ONLY
@pytest.mark.parametrize("number", [0x40000000 | 39, 0x40000000 | 59])
def test_x32_numbers_kill(box: Any, number: int) -> None:
    ending = box.run(TRY + f"result = call({number}, 0, 0, 0)")
    assert (ending.kind, ending.reason) == ("failed", "ended by signal SIGSYS")


def test_22_24_no_new_process(box: Any) -> None:
    found = attack(
        box,
        """
        import multiprocessing, subprocess
        result = [refused(os.fork), refused(os.forkpty), refused(subprocess.run, ["/bin/true"]), refused(os.setsid),
                  refused(os.posix_spawn, "/bin/true", ["true"], {}), os.system("true") != 0,
                  refused(multiprocessing.Process(target=print).start)]
        import threading
        done = []
        thread = threading.Thread(target=done.append, args=(1,)); thread.start(); thread.join()
        result.append(done)
        """,
    )
    assert None not in found
    assert found[0] == "EPERM"
    assert found[-1] == [1]


@X86_64_ONLY
def test_22_clone_flags_are_judged(box: Any) -> None:
    """A process by raw clone, and a thread that would take new namespaces with it."""
    found = attack(
        box, "result = [call(56, 17, 0, 0, 0, 0), call(56, 0x10000 | 0x10000000, 0, 0, 0, 0), call(57)]"
    )
    assert found == ["EPERM"] * 3


def test_25_memory_bomb(box: Any) -> None:
    ending = box.run("x = []\nwhile True: x.append(bytearray(1 << 20))")
    assert (ending.kind, ending.reason) == ("limit", "memory limit of 512 MiB reached")
    assert ending.max_rss_bytes < 700 << 20


def test_29_one_huge_file(box: Any) -> None:
    limits = Limits(artifact_bytes=1 << 20, wall_seconds=20)
    source = """
    file = open("big", "wb", buffering=0)
    result = [refused(os.ftruncate, file.fileno(), 2 << 20), refused(os.posix_fallocate, file.fileno(), 0, 2 << 20),
              refused(os.pwrite, file.fileno(), b"x", 2 << 20), refused(file.write, b"x" * 100)]
    """
    assert attack(box, source, limits=limits) == ["EFBIG"] * 3 + [None]


def test_38_a_forged_report_is_data_and_never_more(box: Any) -> None:
    """Code finds the job memory by address and writes a pickle, or broken JSON, where the report belongs."""
    forge = """
    import gc, struct
    from nadg.sandbox.job import Report, write_report
    memory = next(view for view in gc.get_objects() if type(view) is memoryview and view.nbytes > 1 << 20)
    {act}
    os._exit(0)
    """
    planted = box.root / "planted"
    acts = {
        f"""memory[16:80] = (b"cposix\\nsystem\\n(S'touch {planted}'\\ntR." + bytes(64))[:64]; """
        "struct.pack_into('=QQ', memory, 0, 64, 64)": "overwrote its own report",
        "struct.pack_into('=QQ', memory, 0, 1 << 60, 1 << 50)": "overwrote its own report",
        "struct.pack_into('=QQ', memory, 0, 10, 1 << 62)": "overwrote its own report",
        "write_report(memory, Report(kind='succeeded', has_result=True), b'[1,')": "is not JSON",
        "write_report(memory, Report(kind='succeeded', has_result=True), b'[' * 200_000)": "nested deeper",
        "write_report(memory, Report(kind='succeeded', has_result=True), b'9' * 5000)": "more than 4300 digits",
        "write_report(memory, Report(kind='owned', reason='r'), b'')": "r",
    }
    for act, reason in acts.items():
        source = "import gc\ngc.unfreeze()\n" + TRY + textwrap.dedent(forge.format(act=act))
        ending = box.run(source)
        assert ending.kind == "failed", (act, ending)
        assert reason in ending.reason, act
    assert not planted.exists()


def test_40_a_poisoned_module_ends_with_its_process(box: Any) -> None:
    assert box.value("import builtins, json; json.dumps = None; builtins.max = min; result = max(1, 2)") == 1
    assert box.value("import json; result = [json.dumps(1), max(1, 2)]") == ["1", 2]


def test_43_setuid_programs_and_any_other(box: Any) -> None:
    found = attack(
        box,
        """
        result = [refused(os.execv, path, ["x"]) for path in ("/usr/bin/su", "/bin/true", os.path.realpath("/bin/sh"))]
        write("program"); result.append(refused(os.execv, "program", ["x"]))
        """,
    )
    assert found == ["EPERM"] * 4
    status = attack(box, "result = libc.prctl(39, 0, 0, 0, 0)")
    assert status == 1


def test_44_no_core_dump_and_no_terminal(box: Any) -> None:
    import resource

    found = attack(
        box,
        """
        import fcntl, resource
        result = [libc.prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE),
                  refused(fcntl.ioctl, 0, 0x5412, b"x"), refused(read, "/dev/tty"), os.getsid(0) == os.getpid(),
                  call(157, 4, 1, 0, 0, 0), libc.prctl(3, 0, 0, 0, 0)]
        """,
    )
    assert found == [0, [0, 0], "ENOTTY", "EACCES", True, "EPERM", 0]
    assert resource.RLIMIT_CORE == 4


def test_45_a_killed_zygote_is_replaced(open_box: Any) -> None:
    box = open_box()

    async def kill_while_running() -> Any:
        spoke = asyncio.Event()
        source = "import os, time; print(os.getppid()); time.sleep(60)"
        pids: list[int] = []

        def on_output(_stream: str, text: str) -> None:
            pids.append(int(text))
            spoke.set()

        task = asyncio.create_task(box.sandbox.run(Request(attempt_id="a", source=source), on_output))
        await spoke.wait()
        os.kill(pids[0], signal.SIGKILL)
        return await task

    ending = box.runner.run(kill_while_running())
    assert ending.kind == "crashed"
    assert "lost" in ending.reason
    assert box.value("result = 1") == 1


def test_45_a_stopped_zygote_does_not_stop_the_worker(open_box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nadg.sandbox.watchdog.SILENCE_SECONDS", 0.5)
    box = open_box()
    zygote = box.value("import os; result = os.getppid()")
    os.kill(zygote, signal.SIGSTOP)
    ending = box.run("result = 1")
    assert ending.kind == "crashed"
    assert "did not answer" in ending.reason
    assert box.value("result = 1") == 1
