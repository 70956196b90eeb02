"""The warm process: gives up its rights, loads modules once, then serves forks of itself.

It is executed with a clean environment, holds no secret, has one thread and one socket, and never reads a
job.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import os
import resource
import socket
import sys
from pathlib import Path
from typing import TextIO, cast

import msgspec

from nadg.domain.errors import SandboxUnavailable
from nadg.sandbox import child, late_random, linux, protocol, reach, readable
from nadg.sandbox.carry_out import flush_open_files, rehearse
from nadg.sandbox.fork_server import ForkServer
from nadg.sandbox.layers import landlock, namespaces, privileges, rlimits, seccomp
from nadg.sandbox.layers.syscalls import Machine, this_machine


def main(control_fd: int, order_text: str) -> None:
    """Get ready, say so, serve until the worker closes the socket."""
    order = msgspec.json.decode(order_text, type=protocol.ZygoteOrder)
    control = socket.socket(fileno=control_fd)
    try:
        zygote, facts = prepare(order)
    except (SandboxUnavailable, OSError, ImportError) as error:
        control.send(protocol.FAILED + str(error).encode("utf-8", "replace")[:2000])
        return
    server = ForkServer(control, zygote, order.tier)
    gc.collect()
    gc.freeze()
    gc.disable()  # until a child runs its code: a collection while it is set up would only copy pages
    control.send(protocol.READY + msgspec.msgpack.encode(facts))
    server.serve()


def prepare(order: protocol.ZygoteOrder) -> tuple[child.Zygote, protocol.ZygoteFacts]:
    """Give up rights, load the modules, make ready what children inherit. Raises SandboxUnavailable."""
    paths = readable.readable_paths()
    mounts = _become_task_user(order, paths) if order.task_uid is not None else ()
    if sys.platform == "linux":
        privileges.end_with_parent()
    os.umask(0o077)
    zygote = child.Zygote(pid=os.getpid(), machine=_machine(order.tier), landlock_abi=0)
    if order.tier == "namespaces":
        namespaces.enter_for_zygote()
        zygote.pid = 0
        zygote.namespaces = namespaces.TaskNamespaces(order.folder)
    absent = _preload(order.modules)
    if not order.modules:
        late_random.seed_on_import()  # else one of them may hold it, and every task seeds it
    sys.path.append("")  # the place of the work folder
    if zygote.namespaces is not None:
        child.name_own_folders(zygote.namespaces.work, zygote.namespaces.tmp)
    _line_buffer_streams()
    zygote.mapped_bytes, resident_bytes = _memory_use()
    threads = _require_one_thread()
    _prepare_layers(zygote, order, paths)
    rehearse(zygote.rehearsal)
    flush_open_files()
    if zygote.filter is not None:
        zygote.filter.program_for(0)
    return zygote, protocol.ZygoteFacts(
        landlock_abi=zygote.landlock_abi,
        mapped_bytes=zygote.mapped_bytes,
        resident_bytes=resident_bytes,
        threads=threads,
        filter_length=len(zygote.filter) if zygote.filter else 0,
        absent_modules=absent,
        private_mounts=mounts,
    )


def _machine(tier: str) -> Machine | None:
    machine = this_machine() if sys.platform == "linux" else None
    if machine is None and tier != "none":
        raise SandboxUnavailable(f"tier {tier} knows x86-64 and AArch64 machines with Linux only; allow tier none")
    return machine


def _become_task_user(order: protocol.ZygoteOrder, paths: readable.Readable) -> tuple[str, ...]:
    """From root to the tasks' own user, with everything they need within reach."""
    if order.task_uid is None:
        raise ValueError("no user to become")
    mounts = reach.make_reachable(order.task_uid, (*paths.whole, *paths.listed), order.folder)
    privileges.become(order.task_uid)
    linux.prctl(linux.PR_SET_DUMPABLE, 1)  # else /proc/self is root's and the oom score cannot be set
    return mounts


def _prepare_layers(zygote: child.Zygote, order: protocol.ZygoteOrder, paths: readable.Readable) -> None:
    """What every child needs of the kernel, checked and built once."""
    if order.tier == "none":
        if sys.platform == "linux":
            linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
            zygote.adopts_orphans = True
        return
    if zygote.machine is None:
        raise SandboxUnavailable("no system call table for this machine")
    zygote.landlock_abi = landlock.abi_version(zygote.machine)
    if zygote.landlock_abi < landlock.MINIMUM_ABI:
        raise SandboxUnavailable(
            f"the kernel offers Landlock ABI {zygote.landlock_abi}, {landlock.MINIMUM_ABI} is needed: "
            "use Linux 6.2 or newer with Landlock enabled"
        )
    zygote.filter = seccomp.build_filter(zygote.machine)
    privileges.be_first_to_go()
    rlimits.limit_all_tasks()
    if zygote.namespaces is None:
        privileges.give_up_for_good()
        privileges.require_given_up()
        privileges.hide_from_tracers()
    else:
        namespaces.enter_private_root(paths, readable.DEVICES, order.folder, zygote.machine)
        linux.drop_ambient_capabilities()
        privileges.forbid_new_ones()  # its children drop what it needs to make their namespaces
    zygote.grants = _common_grants(paths, order.settings_folder)
    if zygote.namespaces is not None:
        ruleset = child.ruleset_for(zygote, [zygote.namespaces.writable], zygote.namespaces.readable)
        zygote.rulesets[child.SAME_FOR_ALL] = ruleset


def _preload(modules: tuple[str, ...]) -> tuple[str, ...]:
    """Import what there is; the names of those that are not installed."""
    absent = []
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            absent.append(name)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        _draw_once(pyplot)
    atexit._clear()  # exit functions of preloaded modules are not the tasks' to run
    return tuple(absent)


def _draw_once(pyplot: object) -> None:
    """A first figure loads fonts, backend and text layout, so that no task has to."""
    figure = pyplot.figure()  # type: ignore[attr-defined]  # matplotlib may be absent when types are checked
    figure.gca().set_title("ready")
    figure.savefig(io.BytesIO(), format="png")
    pyplot.close(figure)  # type: ignore[attr-defined]


def _line_buffer_streams() -> None:
    """Children write through these objects; a line goes out as soon as it is whole."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        cast(TextIO, stream).reconfigure(line_buffering=True)  # type: ignore[attr-defined]


def _common_grants(paths: readable.Readable, settings_folder: str) -> tuple[landlock.Grant, ...]:
    """What every task may use, opened once."""
    return (
        *(landlock.reading(path) for path in (*paths.whole, settings_folder)),
        *(landlock.listing(path) for path in paths.listed),
        *(landlock.writing(path) for path in readable.DEVICES),
    )


def _memory_use() -> tuple[int, int]:
    """Bytes of address space and of it resident; zeros where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 0, 0
    return int(pages[0]) * resource.getpagesize(), int(pages[1]) * resource.getpagesize()


def _require_one_thread() -> int:
    """A forked copy of a process with threads may hang on their locks, so there must be none."""
    folder = Path("/proc/self/task")
    threads = len(list(folder.iterdir())) if folder.is_dir() else 1
    if threads != 1:
        raise SandboxUnavailable(f"loading the modules left {threads} threads; preload fewer modules")
    return threads
