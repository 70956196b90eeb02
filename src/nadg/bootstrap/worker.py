"""`nadg worker`: one worker node in this process."""

from __future__ import annotations

import os
import socket
from typing import Literal

from nadg.bootstrap.home import Home
from nadg.domain.tier import Tier
from nadg.link.dial import is_loopback
from nadg.sandbox import Policy
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
    sandbox: Literal["auto", "landlock", "none"],
    allow_unsafe_none: bool,
) -> None:
    """Serve until a signal. Raises UserError where these settings cannot be served safely."""
    home = Home(settings)
    token = home.worker_token() if settings.worker_token is not None or is_loopback(host) else ""
    policy = Policy(
        tier=None if sandbox == "auto" else Tier(sandbox),
        allow_none=allow_unsafe_none or settings.allow_unsafe_none,
    )
    serve(
        WorkerSettings(
            name=name or f"{socket.gethostname()}-{port or os.getpid()}",
            root=str(home.workers / f"port-{port}"),
            host=host,
            port=port,
            token=token,
            slots=slots or os.cpu_count() or 1,
            labels=labels,
            policy=policy,
        )
    )
