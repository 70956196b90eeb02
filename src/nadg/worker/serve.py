"""A worker from start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import secrets
import shutil
import socket
import sys
from pathlib import Path

import msgspec

from nadg import __version__
from nadg.domain.clock import SystemClock
from nadg.domain.errors import UserError
from nadg.domain.token import flaw_of_token
from nadg.domain.worker import WorkerInfo
from nadg.link.blobfolder import BlobFolder
from nadg.link.dial import is_loopback
from nadg.sandbox import Policy, Sandbox
from nadg.skills.registry import Registry, load_registry
from nadg.worker.app import create_app
from nadg.worker.ending import EndOfWork, watch_for_end
from nadg.worker.environment import environment_sha256
from nadg.worker.folder import take_folder
from nadg.worker.linkdoor import LinkDoor
from nadg.worker.routes import WorkerParts
from nadg.worker.runner import Runner
from nadg.worker.server import WorkerServer, listen, uvicorn_config
from nadg.worker.settings import WorkerSettings

MAX_FORKED_AHEAD = 8


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="ready"):
    """The one line on stdout, once the worker takes work."""

    name: str
    url: str
    tier: str
    process_id: int


def serve(settings: WorkerSettings, *, stop_on_eof: bool = False) -> None:
    """Run a worker until SIGTERM or SIGINT, or with `stop_on_eof` until its master is gone: until stdin ends.

    A worker that outlives its master takes nothing new, keeps what it has for the grace time for whoever owns
    the runs then, and takes its folder with it.

    Raises UserError where it must not or cannot listen, SandboxUnavailable where it cannot isolate.
    """
    root = Path(settings.root)
    try:
        with take_folder(root):
            outlived = asyncio.run(_serve(settings, stop_on_eof))
            if outlived:
                shutil.rmtree(root, ignore_errors=True)
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, settings.root) from error  # such as a full disk: say which


async def _serve(settings: WorkerSettings, stop_on_eof: bool) -> bool:
    """Serve to the end. True where it outlived its master."""
    root = Path(settings.root)
    token = _token(settings, root)
    blobs = BlobFolder(root / "blobs", settings.cache_bytes)
    registry = load_registry()
    with listen(settings.host, settings.port) as listener, watch_for_end(stop_on_eof) as end:
        async with Sandbox(_policy(settings), root / "sandbox", blobs) as sandbox:
            runner = _create_runner(settings, sandbox, blobs, registry)
            links = LinkDoor(runner, blobs, secrets.token_hex(8), settings.ping_seconds)
            parts = WorkerParts(
                runner=runner,
                blobs=blobs,
                skills=tuple(registry.specs),
                broken_skills=dict(registry.broken),
                sandbox_report=sandbox.report,
            )
            app = create_app(parts, links, token, loopback_only=is_loopback(settings.host))
            server = WorkerServer(uvicorn_config(app))
            async with asyncio.TaskGroup() as tasks:
                house = tasks.create_task(runner.run())
                serving = tasks.create_task(server.serve(sockets=[listener]))
                await server.wait_started()
                _say_ready(settings, sandbox.tier, listener)
                outlived = await end.wait()
                if outlived:
                    await _outlive_master(runner, end)
                await _stop(runner, settings.drain_seconds)
                server.should_exit = True
                await serving
                house.cancel()
    return outlived


async def _outlive_master(runner: Runner, end: EndOfWork) -> None:
    """Hand over what is here to whoever asks for it; a signal makes it short."""
    runner.drain("its master is gone")
    handing_over = asyncio.create_task(runner.wait_handed_over())
    told = asyncio.create_task(end.told.wait())
    await asyncio.wait([handing_over, told], return_when=asyncio.FIRST_COMPLETED)
    for task in (handing_over, told):
        task.cancel()
    await asyncio.wait([handing_over, told])


async def _stop(runner: Runner, drain_seconds: float) -> None:
    """Take nothing new, let what runs end for a while, then part from every master."""
    runner.drain("the worker stops")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(drain_seconds):
            await runner.wait_settled()
    runner.say_goodbye("the worker stops")


def _policy(settings: WorkerSettings) -> Policy:
    """With a process forked ahead for every slot, up to a bound: idle ones cost a few megabytes each."""
    ahead = min(settings.slots, MAX_FORKED_AHEAD) if settings.policy.forked_ahead else 0
    return msgspec.structs.replace(settings.policy, forked_ahead=ahead)


def _create_runner(settings: WorkerSettings, sandbox: Sandbox, blobs: BlobFolder, registry: Registry) -> Runner:
    info = WorkerInfo(
        name=settings.name,
        slots=settings.slots,
        tier=sandbox.tier,
        labels=settings.labels,
        skills={name: spec.version for name, spec in registry.specs.items()},
        nadg_version=__version__,
        python_version=platform.python_version(),
        process_id=os.getpid(),
        environment=environment_sha256(one.function for one in registry.skills.values()),
    )
    return Runner(
        info,
        sandbox=sandbox,
        blobs=blobs,
        skills=registry.specs,
        clock=SystemClock(),
        backlog=settings.backlog,
        grace_seconds=settings.grace_seconds,
        caps=settings.policy.caps,
    )


def _token(settings: WorkerSettings, root: Path) -> str:
    """The token that is wanted from callers: as given, or on loopback one that is kept in a private file.

    Raises UserError where others could reach the worker without a token, or with one that they may guess.
    """
    root.mkdir(parents=True, exist_ok=True)
    if settings.token:
        flaw = flaw_of_token(settings.token, guessable_by_others=not is_loopback(settings.host))
        if flaw is not None:
            raise UserError(f"NADG_WORKER_TOKEN: {flaw}")
        return settings.token
    if not is_loopback(settings.host):
        raise UserError(
            f"host {settings.host!r} can be reached from elsewhere, so callers need a secret; "
            "set NADG_WORKER_TOKEN here and on the master, or listen on this machine alone (--host 127.0.0.1)"
        )
    path = root / "token"
    if not path.exists():
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_urlsafe(32))
    print(f"the token for this worker stands in {path}", file=sys.stderr, flush=True)
    return path.read_text().strip()


def _say_ready(settings: WorkerSettings, tier: str, listener: socket.socket) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{listener.getsockname()[1]}"
    line = Ready(name=settings.name, url=url, tier=str(tier), process_id=os.getpid())
    print(msgspec.json.encode(line).decode(), flush=True)
