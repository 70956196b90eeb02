"""The process that uses a sandbox in one combination, and its launcher, as `hosts.py` starts them.

The launcher loads everything once and forks for each order: a host, which becomes the wanted user, opens a
Sandbox and carries out requests, JSON lines both ways; or a control, which runs source as the tasks' user with
nothing around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

from nadg.domain.errors import SandboxUnavailable
from nadg.domain.limits import Limits
from nadg.sandbox import Policy, Request, Sandbox, linux, watchdog
from nadg.sandbox.layers import privileges
from nadg.sandbox.reach import make_reachable
from nadg.sandbox.readable import readable_paths
from tests.sandbox.folder_blobs import FolderBlobs
from tests.sandbox.threats import docker_filter
from tests.sandbox.threats.kernel_answers import claim_landlock_abi

CONTROL_SECONDS = 30


class Order(msgspec.Struct, kw_only=True):
    """What one forked process is to be and to do."""

    starter: str
    uid: int
    task_uid: int
    root: str
    policy: dict[str, Any] = {}
    control: str | None = None
    """Source to run unconfined, in place of a sandbox."""
    denied: dict[str, list[int]] = {}
    landlock_abi: int | None = None
    silence_seconds: float | None = None


def main() -> None:
    """Fork for every order that comes over the control socket; its answers go over the order's own socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        message, fds, _, _ = socket.recv_fds(control, 1 << 18, 1)
        if not message:
            break
        if os.fork() == 0:
            control.close()
            _carry_out(msgspec.json.decode(message, type=Order), socket.socket(fileno=fds[0]))
        for fd in fds:
            os.close(fd)
        _reap(os.WNOHANG)
    _reap(0)


def _reap(how: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, how)[0]:
            pass


def _carry_out(order: Order, connection: socket.socket) -> None:
    try:
        _become(order)
        if order.control is not None:
            _send(connection, {"result": _run_unconfined(order, order.control)})
        else:
            asyncio.run(_host(order, connection))
    except BaseException:  # noqa: BLE001 this process ends here; the reason goes to the test
        _send(connection, {"broken": traceback.format_exc()})
    finally:
        connection.close()
        os._exit(0)


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")


def _become(order: Order) -> None:
    """Turn into the wanted user as a process that such a user starts would be."""
    wanted = order.task_uid if order.control is not None else order.uid
    if wanted != os.geteuid():
        paths = readable_paths()
        make_reachable(wanted, (*paths.whole, *paths.listed, f"{sys.base_prefix}/bin"), order.root)
        privileges.become(wanted)
        linux.prctl(linux.PR_SET_DUMPABLE, 1)  # as after the exec that such a process began with
    if order.starter == "docker":
        privileges.give_up_for_good()
        docker_filter.deny_as_docker_does()
    if order.denied or order.landlock_abi is not None:
        if os.geteuid() != 0:
            linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        if order.denied:
            docker_filter.deny(order.denied)
        if order.landlock_abi is not None:
            claim_landlock_abi(order.landlock_abi)


def _run_unconfined(order: Order, source: str) -> Any:
    signal.alarm(CONTROL_SECONDS)
    os.chdir(order.root)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "control.py", "exec"), variables)
    return variables.get("result")


async def _host(order: Order, connection: socket.socket) -> None:
    root = Path(order.root)
    if order.silence_seconds is not None:
        vars(watchdog)["SILENCE_SECONDS"] = order.silence_seconds
    policy = msgspec.convert(order.policy, Policy, strict=False)
    try:
        async with Sandbox(policy, root / "attempts", FolderBlobs(root / "blobs")) as sandbox:
            report = json.loads(msgspec.json.encode(sandbox.report))
            reader, writer = await asyncio.open_connection(sock=connection, limit=1 << 28)
            await _serve(sandbox, reader, writer, {"ready": report, "pid": os.getpid()})
    except SandboxUnavailable as error:
        _send(connection, {"unavailable": str(error)})


async def _serve(
    sandbox: Sandbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: dict[str, Any]
) -> None:
    """Answer until the test's end closes; then whatever still runs is cancelled."""

    def tell(message: dict[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\n")

    async def run(number: int, asked: dict[str, Any]) -> None:
        quiet, length = asked.pop("quiet", False), 0

        def on_output(stream: str, text: str) -> None:
            nonlocal length
            length += len(text)
            if not quiet:
                tell({"run": number, "output": [stream, text]})

        try:
            ending = await sandbox.run(_request(asked), on_output)
            await _removals_of(sandbox)
        except asyncio.CancelledError:
            tell({"run": number, "cancelled": True})
        else:
            tell({"run": number, "length": length, "ending": json.loads(msgspec.json.encode(ending))})

    tell(hello)
    running: dict[int, asyncio.Task[None]] = {}
    while line := await reader.readline():
        message = json.loads(line)
        number = message["run"]
        if "request" in message:
            running[number] = asyncio.create_task(run(number, message["request"]))
        else:
            for _ in range(message.get("turns", 0)):
                await asyncio.sleep(0)
            running[number].cancel()
    for task in running.values():
        task.cancel()
    await asyncio.gather(*running.values(), return_exceptions=True)


async def _removals_of(sandbox: Sandbox) -> None:
    """Until what attempts left is removed, so that a test can look at what is there."""
    pool = sandbox._pool
    if pool is not None and pool._removals:
        await asyncio.wait(pool._removals)


def _request(asked: dict[str, Any]) -> Request:
    limits = Limits(**asked.pop("limits"))
    inputs = {name: Path(path) for name, path in asked.pop("inputs", {}).items()}
    needs = {name: text.encode() for name, text in asked.pop("needs", {}).items()}
    return Request(attempt_id="r/s/0/1", limits=limits, inputs=inputs, needs=needs, **asked)


if __name__ == "__main__":
    main()
