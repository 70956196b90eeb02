"""`nadg worker`: one worker node in this process."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Literal

from nadg.bootstrap.home import Home
from nadg.domain.errors import UserError
from nadg.domain.named_limits import NamedLimits, changed_limits, read_limits
from nadg.domain.tier import Tier
from nadg.link.dial import is_loopback
from nadg.sandbox import Policy
from nadg.sandbox.policy import GENEROUS
from nadg.settings import Settings
from nadg.worker.serve import serve
from nadg.worker.settings import WorkerSettings


def serve_worker(
    settings: Settings,
    *,
    host: str,
    port: int,
    slots: int | None,
    name: str,
    labels: tuple[str, ...],
    sandbox: Literal["auto", "namespaces", "landlock", "none"],
    allow_unsafe_none: bool,
    limits: tuple[str, ...] = (),
) -> None:
    """Serve until a signal. Raises UserError where these settings cannot be served safely."""
    if sandbox == "none" and not (allow_unsafe_none or settings.allow_unsafe_none):
        raise UserError("--sandbox none isolates nothing; add --allow-unsafe-none to run code of your own so")
    home = Home(settings)
    token = home.worker_token() if settings.worker_token is not None or is_loopback(host) else ""
    if token and settings.worker_token is None:
        print(f"callers need the token that stands in {home.token_file}", file=sys.stderr, flush=True)
    policy = Policy(
        tier=None if sandbox == "auto" else Tier(sandbox),
        allow_none=allow_unsafe_none or settings.allow_unsafe_none,
        caps=changed_limits(GENEROUS, settings.limit_caps, _read_caps(limits)),
    )
    folder = own_folder(home.workers, host, port)
    try:
        serve(
            WorkerSettings(
                name=name or f"{socket.gethostname()}-{port or os.getpid()}",
                root=str(folder),
                host=host,
                port=port,
                token=token,
                slots=slots or os.cpu_count() or 1,
                labels=labels,
                policy=policy,
            )
        )
    finally:
        if port == 0:
            shutil.rmtree(folder, ignore_errors=True)


def _read_caps(limits: tuple[str, ...]) -> NamedLimits:
    try:
        return read_limits(limits)
    except ValueError as error:
        raise UserError(f"--limit: {error}") from error


def own_folder(workers: Path, host: str, port: int) -> Path:
    """Where one worker keeps its things: the cache of a fixed address is found again, a free port's is not.

    The latter begins with this process's id, so that it is known for a leftover if the process is killed.
    """
    address = "".join(mark if mark.isalnum() or mark in ".-" else "_" for mark in host)
    return workers / (f"port-{port}-{address}" if port else f"{os.getpid()}-{address}")
