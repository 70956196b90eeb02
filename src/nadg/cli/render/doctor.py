"""What a host can enforce, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

from nadg.cli.render.safe import one_line
from nadg.cli.render.tables import plain_table
from nadg.cli.render.units import size

if TYPE_CHECKING:
    from nadg.bootstrap.doctor import Diagnosis


def verdict_line(found: Diagnosis) -> str:
    """The one sentence that counts."""
    if found.isolates:
        return f"A worker here isolates with tier {found.best}."
    return "Nothing isolates code here: a worker would run only with --allow-unsafe-none, for code of your own."


def tier_lines(found: Diagnosis) -> Iterator[str]:
    """How each tier fared, best first."""
    for one in found.tiers:
        if one.report is None:
            words = f"does not work: {one_line(one.reason, 400)}"
        elif one.report.escapes_refused:
            words = f"works: {len(one.report.escapes_refused)} ways out were tried, and all were refused"
        else:
            words = "can be had with --allow-unsafe-none, and isolates nothing"
        yield f"  {one.tier:12}{words}"


def host_lines(found: Diagnosis) -> Iterator[str]:
    """The facts that the tiers rest on."""
    host = found.host
    user = f"root, so code runs as user {host.task_uid}" if host.is_root else f"user {host.task_uid}"
    facts = {
        "system": f"{host.system} {host.kernel}, {host.machine}{', in a container' if host.in_container else ''}",
        "Python": f"{host.python}; {'read by' if not host.unreadable else 'not all read by'} user {host.task_uid}",
        "started as": user,
        "Landlock": f"ABI {host.landlock_abi}" if host.landlock_abi else "none",
        "seccomp": "yes" if host.has_seccomp else "no",
        "namespaces": f"no: {host.namespaces_refused}" if host.namespaces_refused else "may be made",
        "cgroup": _cgroup_words(found),
        "held ready": f"all but {', '.join(host.absent_modules)}" if host.absent_modules else "all modules",
        "swap": size(host.swap_bytes) if host.swap_bytes else "none",
    }
    return (f"  {name:12}{one_line(value, 300)}" for name, value in facts.items())


def _cgroup_words(found: Diagnosis) -> str:
    """What the first tier that worked said of it; where none did, what can be read off the host."""
    tried = next((one.report.cgroup for one in found.tiers if one.report is not None), "")
    return tried or f"not used: {found.host.cgroup_refused or 'no tier works'}"


def advice_lines(found: Diagnosis) -> Iterator[str]:
    """What is missing, each with its mend on the next line."""
    for one in found.advice:
        yield f"  - {one_line(one.missing, 300)}"
        yield f"    mend: {one_line(one.mend, 500)}"


def threats_table(found: Diagnosis) -> Table:
    """What each tier does about each kind of attack."""
    rows = [(one.kind, one.none, one.landlock, one.namespaces, one.tried) for one in found.threats]
    return plain_table(("ATTACK ON", "NONE", "LANDLOCK", "NAMESPACES", "SUCH AS"), rows, folded="SUCH AS")
