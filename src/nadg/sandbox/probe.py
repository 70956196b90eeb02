"""Proves a tier on this host by trying to break out of it, and says what it found.

The escapes run as an ordinary attempt, on a folder of the tasks' own user, so that ordinary permissions would
let them through. The worker does the same things itself as a control: a refusal then means the sandbox.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec

from nadg.domain.errors import SandboxUnavailable
from nadg.domain.limits import Limits
from nadg.domain.tier import Tier
from nadg.sandbox.output import OnOutput
from nadg.sandbox.policy import Policy
from nadg.sandbox.protocol import ZygoteFacts
from nadg.sandbox.request import Ending, Request

Run = Callable[[Request, OnOutput], Awaitable[Ending]]
_PROBE_LIMITS: Final = Limits(wall_seconds=20, cpu_seconds=10, memory_megabytes=256)


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What this host's sandbox is and how it was proven; shown by `/status` and `nadg doctor`."""

    tier: Tier
    landlock_abi: int = 0
    filter_length: int = 0
    escapes_refused: tuple[str, ...] = ()
    private_mounts: tuple[str, ...] = ()
    cgroup: str = ""
    """Whether each attempt is in a cgroup of its own and what that bounds, or why not."""
    remarks: tuple[str, ...] = ()


_ESCAPES: Final = """
import os, socket
refused = []
secret, outside, parent = {secret!r}, {outside!r}, os.getppid()
def read(path):
    with open(path, "rb") as file:
        file.read(1)
def write(path):
    with open(path, "wb") as file:
        file.write(b"x")
attempts = {{
    "read a foreign file": lambda: read(secret),
    "write outside the work folder": lambda: write(outside),
    "read the parent's environment": lambda: read(f"/proc/{{parent}}/environ"),
    "open a TCP socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "open a UDP socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "open a UNIX socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "start a process": os.fork,
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "signal the parent": lambda: os.kill(parent, 0),
}}
if {is_alone}:
    attempts["see the processes of the machine"] = lambda: os.stat("/proc/self")
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError:
        refused.append(name)
"""
_CONTROLS: Final = """
import os, threading
with open("control", "w+b") as file:
    file.write(b"x")
os.remove("control")
thread = threading.Thread(target=int); thread.start(); thread.join()
result = [sorted(globals().get("attempts", ())), sorted(globals().get("refused", ())), os.getuid()]
"""
_CONFINED: Final = (Tier.NAMESPACES, Tier.LANDLOCK)


def candidate_tiers(policy: Policy) -> tuple[Tier, ...]:
    """The tiers to try, best first."""
    if policy.tier is None:
        return (*_CONFINED, Tier.NONE) if policy.allow_none else _CONFINED
    if policy.tier is Tier.NONE and not policy.allow_none:
        raise SandboxUnavailable("tier none isolates nothing; set allow_none to run your own code with it")
    return (policy.tier,)


async def probe(folder: Path, tier: Tier, facts: ZygoteFacts | None, run: Run) -> ProbeReport:
    """Try to break out. Raises SandboxUnavailable where an escape works or the code cannot do its own work."""
    if facts is None:
        raise SandboxUnavailable("the sandbox process said nothing of itself")
    mark = secrets.token_hex(8)
    secret, outside = folder / f"probe-{mark}", folder / f"probe-{mark}-written"
    secret.write_text(mark)
    secret.chmod(0o644)
    try:
        template = _CONTROLS if tier is Tier.NONE else _ESCAPES + _CONTROLS
        source = template.format(secret=str(secret), outside=str(outside), is_alone=tier is Tier.NAMESPACES)
        ending = await run(Request(attempt_id="probe", source=source, limits=_PROBE_LIMITS), _ignore)
        _require_controls(secret)
        return _judge(tier, facts, ending, outside)
    finally:
        secret.unlink()
        outside.unlink(missing_ok=True)


def _ignore(_stream: str, _text: str) -> None:
    """The probe prints nothing worth telling."""


def _require_controls(secret: Path) -> None:
    """The refused things are possible for the worker itself."""
    secret.read_bytes()
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
    os.kill(os.getpid(), 0)


def _judge(tier: Tier, facts: ZygoteFacts, ending: Ending, outside: Path) -> ProbeReport:
    if ending.kind != "succeeded" or ending.result is None:
        raise SandboxUnavailable(f"the probe did not run: {ending.reason}")
    attempted, refused, uid = msgspec.json.decode(
        ending.result.inline or b"null", type=tuple[list[str], list[str], int]
    )
    worked = sorted(set(attempted) - set(refused))
    if tier is not Tier.NONE and (worked or outside.exists()):
        raise SandboxUnavailable(f"the probe broke out: it could {', '.join(worked) or 'write outside'}")
    if uid == 0:
        raise SandboxUnavailable("the code would run as root; set a task_uid that this container maps")
    remarks = [f"module {name} is not installed, so not preloaded" for name in facts.absent_modules]
    if tier is Tier.NONE:
        remarks.append("nothing is isolated: run only code that you trust")
    return ProbeReport(
        tier=tier,
        landlock_abi=facts.landlock_abi,
        filter_length=facts.filter_length,
        escapes_refused=tuple(refused) if tier is not Tier.NONE else (),
        private_mounts=facts.private_mounts,
        remarks=tuple(remarks),
    )
