"""What a worker is told when it starts."""

from __future__ import annotations

import msgspec

from nadg.domain.errors import UserError
from nadg.sandbox import Policy


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Plain data; whoever starts a worker gathers it."""

    name: str
    """Unique on a grid."""
    root: str
    """The folder for blobs, work folders and a generated token; two workers never share one."""
    host: str = "127.0.0.1"
    port: int = 7860
    """0: any free one; the ready line tells which."""
    token: str = ""
    """Wanted from everyone who may run things. Empty is allowed on loopback only: one is generated then."""
    slots: int = 1
    """Attempts that run at a time."""
    backlog: int = 128
    """Attempts beyond the slots that each link may leave here."""
    labels: tuple[str, ...] = ()
    cache_bytes: int = 10 << 30
    """Size of the blob cache."""
    grace_seconds: float = 30.0
    """How long a master's attempts are kept after its link went; longer than any master waits for its worker."""
    drain_seconds: float = 5.0
    """After a request to stop: how long running attempts may go on."""
    ping_seconds: float = 5.0
    """After so long a silence a master is asked whether it is there."""

    policy: Policy = Policy()

    def line(self) -> bytes:
        """As a worker process reads it from stdin, without the line's end."""
        return msgspec.json.encode(self)


def read_settings(line: bytes) -> WorkerSettings:
    """The settings of such a line. Raises UserError where it is none."""
    try:
        return msgspec.json.decode(line, type=WorkerSettings)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UserError(f"the worker's settings are not usable: {error}") from error
