"""Attacks beside the table, by system call: other doors to files, memory, processes and the kernel."""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

import textwrap

import pytest

from tests.sandbox.threats.hosts import Box
from tests.sandbox.threats.words import TRY, X86_64_ONLY, attack, check_only_inside, check_refused, outside


def _plant(box: Box, name: str) -> str:
    planted = box.folder("planted-by-calls") / name
    box.control(f"import os\nopen({str(planted)!r}, 'w').write('TOKEN=1')")
    return str(planted)


def test_the_process_files_of_oneself(box: Box) -> None:
    """/proc/self leads to one's memory past page protections, and to any file by way of root and cwd."""
    source = """
    import threading
    paths = ["/proc/self/mem", "/proc/self/maps", "/proc/self/root/etc/passwd", "/proc/self/cwd/..", "/proc/thread-self/mem",
             "/proc/self/fd", "/proc/self/exe", "/proc/version", "/proc/sys/kernel/core_pattern", "/sys/kernel"]
    result = [refused(os.open, path, os.O_RDONLY) for path in paths] + [refused(os.readlink, "/proc/self/exe")]
    """
    found = attack(box, source)
    assert found[-1] in (None, "EACCES", "ENOENT")  # reading a link is no reading of files
    assert set(found[:-1]) <= {"EACCES", "ENOENT"}
    assert set(outside(box, source)) == {None}
    writes = (
        "result = [refused(os.open, path, os.O_WRONLY) for path in ('/proc/self/mem', '/proc/self/oom_score_adj')]"
    )
    assert set(attack(box, writes)) <= {"EACCES", "ENOENT"}
    assert set(outside(box, writes)) == {None}


def test_devices_of_the_machine(box: Box) -> None:
    paths = (
        "mem kmem port kmsg full tty console ptmx fuse kvm net/tun vhost-net loop-control null/../mem sda vda hpet"
    )
    found = attack(box, f"result = [refused(os.open, '/dev/' + p, os.O_RDWR) for p in {paths.split()}]")
    assert None not in found
    assert set(found) <= {"EACCES", "ENOENT", "ENOTDIR", "EPERM", "ENXIO", "EROFS"}
    assert attack(box, "result = refused(os.open, '/dev/null', os.O_RDWR)") is None


def test_descriptors_that_only_name_a_place(box: Box) -> None:
    """O_PATH is not Landlock's to judge; what is opened by way of one is."""
    secret = _plant(box, "by-path")
    folder, name = secret.rsplit("/", 1)
    outside(box, f"os.mkdir({folder!r} + '/empty')")
    check_only_inside(
        box,
        f"""
        def by_way_of(act):
            place = os.open({folder!r}, os.O_PATH)
            try: return act(place)
            finally: os.close(place)
        result = [refused(by_way_of, lambda at: os.close(os.open({name!r}, os.O_RDONLY, dir_fd=at))),
                  refused(by_way_of, lambda at: os.close(os.open({name!r}, os.O_WRONLY, dir_fd=at))),
                  refused(by_way_of, lambda at: (os.fchdir(at), read({name!r}))),
                  refused(by_way_of, lambda at: os.listdir(f"/proc/self/fd/{{at}}")),
                  refused(by_way_of, lambda at: os.mkdir(f"d{{os.getpid()}}", dir_fd=at)),
                  refused(by_way_of, lambda at: os.rmdir("empty", dir_fd=at)),
                  refused(by_way_of, lambda at: read(f"/proc/self/fd/{{at}}/{name}"))]
        """,
    )


@X86_64_ONLY
def test_exchanging_a_file_with_one_outside(box: Box) -> None:
    victim = _plant(box, "exchanged")
    folder = victim.rpartition("/")[0]
    exchange = """
    here, exchange = -100, 2
    write(mine)
    result = [call(316, here, mine.encode(), here, victim.encode(), exchange)]
    """
    check_refused(box, attack(box, f"mine, victim = 'mine', {victim!r}" + textwrap.dedent(exchange)))
    assert outside(box, f"mine, victim = {folder!r} + '/mine', {victim!r}" + textwrap.dedent(exchange)) == [None]


@X86_64_ONLY
def test_files_by_handle_and_watches(box: Box) -> None:
    source = """
    handle = ctypes.create_string_buffer(136); handle[0] = 128
    mount = ctypes.c_int()
    name = [call(303, -100, b"/", ctypes.byref(handle), ctypes.byref(mount), 0)]
    result = name + [call(304, 3, ctypes.byref(handle), 0), call(300, 0, 0), call(253), call(294, 0)]
    """
    check_refused(box, attack(box, source))
    assert outside(box, "result = [call(253), call(294, 0)]") == [None, None]


@X86_64_ONLY
def test_programs_from_memory(box: Box) -> None:
    check_refused(box, attack(box, "result = [call(319, b'x', 0), call(447, 0), call(322, 1, b'', 0, 0, 0x1000)]"))
    program = "fd = os.memfd_create('x', 0)\nos.write(fd, open('/bin/true', 'rb').read())\n"
    program += "child = os.fork()\nif not child: os.execve(fd, ['x'], {})\nresult = os.waitpid(child, 0)[1]"
    assert outside(box, program) == 0


def test_what_a_process_may_change_of_itself(box: Box) -> None:
    """The end with the parent, tracers, dumps, capabilities, speculation, memory layout, a filter of its own."""
    source = """
    options = [(1, 0), (4, 1), (8, 1), (22, 1), (24, 0), (28, 0), (35, 1), (36, 1), (38, 0), (47, 2), (53, 0),
               (59, 1), (62, 1), (0x59616D61, -1)]
    result = []
    for option, value in options:
        ctypes.set_errno(0)
        done = libc.prctl(option, ctypes.c_long(value), 0, 0, 0)
        result.append(errno.errorcode[ctypes.get_errno()] if done == -1 else None)
    """
    check_refused(box, attack(box, source))
    assert outside(box, "result = [libc.prctl(1, 0, 0, 0, 0), libc.prctl(36, 1, 0, 0, 0)]") == [0, 0]


@X86_64_ONLY
def test_a_filter_of_ones_own_with_a_listener(box: Box) -> None:
    """A filter that hands calls to a listener could answer for the kernel."""
    check_refused(
        box, attack(box, "result = [call(317, 1, 8, 0), call(317, 0, 0, 0), call(317, 2, 0, 0), call(446, 3, 0)]")
    )
    assert (
        outside(box, "number = ctypes.c_uint(0x7fff0000); result = call(317, 2, 0, ctypes.byref(number))") is None
    )


def test_limits_are_not_raised(box: Box) -> None:
    source = """
    import resource
    def raised(kind):
        soft, hard = resource.getrlimit(kind)
        more = -1 if hard == -1 else hard + 1
        try: resource.setrlimit(kind, (more, more))
        except (ValueError, OSError): return False
        return True
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE,
             resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK)
    result = [raised(kind) for kind in kinds]
    """
    assert attack(box, source) == [False] * 6
    lower = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)); result = 1"
    assert attack(box, lower) == outside(box, lower) == 1


def test_huge_sparse_mappings(box: Box) -> None:
    source = """
    import mmap
    no_reserve = 0x4000
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
    result = refused(mmap.mmap, -1, 1 << 40, flags=flags)
    """
    assert attack(box, source) == "ENOMEM"
    assert outside(box, source) is None


@X86_64_ONLY
def test_poisoned_and_locked_pages(box: Box) -> None:
    source = """
    import mmap
    page = mmap.mmap(-1, 4096)
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    poisoned = [call(28, at, 4096, advice) for advice in (100, 101)]
    result = [call(149, at, 4096), call(151, 1)]
    """
    check_refused(box, attack(box, source))
    assert set(attack(box, source + "\n    result = poisoned")) <= {
        "EPERM",
        "EINVAL",
    }  # EINVAL: not in this kernel
    assert attack(box, source + "\n    result = call(28, at, 4096, 3)") is None
    assert outside(box, source.replace("call(151, 1)", "None"))[0] in (None, "ENOMEM", "EAGAIN", "EPERM")


@X86_64_ONLY
def test_memory_shared_by_key(box: Box) -> None:
    source = "result = [call(29, 0, 4096, 0o1600), call(64, 0, 1, 0o1600), call(68, 0, 0o1600)]"
    check_refused(box, attack(box, source))
    check_refused(
        box, attack(box, "result = [call(240, b'x', 0x42, 0o600, 0), call(30, 0, 0, 0), call(31, 0, 0, 0)]")
    )
    remove = "own = [libc.shmget(0, 4096, 0o1600), libc.semget(0, 1, 0o1600), libc.msgget(0, 0o1600)]\n"
    remove += "libc.shmctl(own[0], 0, None); libc.semctl(own[1], 0, 0); libc.msgctl(own[2], 0, None)\n"
    assert outside(box, remove + "result = -1 in own") is False


@X86_64_ONLY
def test_another_root_folder(box: Box) -> None:
    """The old way out of a chroot needs a second one."""
    source = """
    os.mkdir("jail")
    out = os.open(".", os.O_RDONLY)
    result = [refused(os.chroot, "jail"), call(155, b".", b"."), refused(os.listdir, "../" * 40)]
    os.fchdir(out)
    result.append(refused(read, "../" * 40 + "etc/passwd"))
    """
    check_refused(box, attack(box, source))
    assert outside(box, "result = refused(read, '../' * 40 + 'etc/passwd')") is None


@X86_64_ONLY
def test_processor_clocks_of_others(box: Box) -> None:
    source = f"""
    clock = (~{box.pid} << 3) | 2
    result = call(228, clock & 0xFFFFFFFF, ctypes.create_string_buffer(16))
    """
    assert attack(box, source) == "EINVAL"
    assert outside(box, source) is None


def test_real_time_and_greed(box: Box) -> None:
    found = attack(
        box,
        """
        result = [refused(os.nice, -5), refused(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(50)),
                  refused(os.sched_setscheduler, 0, os.SCHED_IDLE, os.sched_param(0)),
                  refused(os.sched_setaffinity, 0, [0]), refused(os.setpriority, os.PRIO_USER, 0, 10)]
        """,
    )
    check_refused(box, found)
    assert outside(box, "result = refused(os.sched_setscheduler, 0, os.SCHED_IDLE, os.sched_param(0))") is None


_NEVER = """
    105 106 113 114 116 117 119 126 135 141 142 144 154 156 159 163 164 167 168 169 170 171 172 173 175 176 179 187 203
    216 227 237 238 239 246 251 253 256 274 275 276 278 279 294 303 304 305 312 313 314 315 317 320 329 330 331 424
    434 437 438 440 442 443 444 445 446 447 448 449 450 451 453 457 458 459 460 461 462 463 464 467 470 999
"""
"""Identities, schedules, time, modules, swapping, splicing, memory policies, mounts, other processes, new calls."""


@X86_64_ONLY
def test_no_other_call_that_a_task_has_no_use_for(box: Box) -> None:
    found = attack(box, f"result = [call(int(number), 0, 0, 0, 0, 0) for number in {_NEVER.split()}]")
    check_refused(box, found)
    assert attack(box, "result = [call(39), call(186), call(24)]") == [None] * 3


@X86_64_ONLY
@pytest.mark.parametrize("number", [0x40000000 | 39, 0x40000000 | 59])
def test_call_numbers_of_the_x32_interface(box: Box, number: int) -> None:
    ending = box.run(TRY + f"result = call({number}, 0, 0, 0)")
    assert (ending.kind, ending.exit_code) == ("failed", 128 + 31)
    assert ending.reason == "ended by signal SIGSYS"


@X86_64_ONLY
def test_calls_of_the_32_bit_interface(box: Box) -> None:
    """`int 0x80` reaches another table of calls, which the filter must know as another architecture."""
    source = r"""
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
at = ctypes.addressof(ctypes.c_char.from_buffer(code))
result = ctypes.CFUNCTYPE(ctypes.c_int)(at)()
"""
    ending = box.run(source)
    assert ending.kind == "failed"
    assert ending.reason in ("ended by signal SIGSYS", "ended by signal SIGSEGV")
    plain = source.replace(r"\xcd\x80", "").replace("result =", "result = 20 ==")
    assert box.value(plain) is True


@X86_64_ONLY
def test_signals_and_leases_by_way_of_descriptors(box: Box) -> None:
    """F_SETOWN and O_ASYNC make the kernel signal whom one names; leases and pipe sizes bind others."""
    source = f"""
    import fcntl
    left, right = os.pipe()
    commands = [(8, {box.pid}), (10, 9), (1024, 0), (1026, 1), (1031, 1 << 20), (1033, 1), (15, 0)]
    result = [refused(fcntl.fcntl, left, *command) for command in commands]
    result.append(refused(fcntl.fcntl, left, fcntl.F_SETFL, os.O_ASYNC))
    result += [refused(fcntl.ioctl, left, command, b"x" * 64) for command in (0x8901, 0x5452, 0x5423, 0x541C, 0x5412)]
    """
    check_refused(box, attack(box, source))
    assert outside(box, "import fcntl\nresult = fcntl.fcntl(os.pipe()[0], 1031, 1 << 16) > 0") is True
