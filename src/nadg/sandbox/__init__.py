"""Runs untrusted Python in a fresh, confined process per attempt, forked from a warm one.

The names below load on first use: the forked processes import parts of this package and must stay small.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nadg.sandbox.output import OnOutput
    from nadg.sandbox.policy import Policy
    from nadg.sandbox.probe import ProbeReport
    from nadg.sandbox.request import Ending, PartGiven, Request, RowsGiven
    from nadg.sandbox.supervisor import Sandbox

_HOMES: Final = {
    "OnOutput": "output",
    "Policy": "policy",
    "ProbeReport": "probe",
    "Ending": "request",
    "PartGiven": "request",
    "Request": "request",
    "RowsGiven": "request",
    "Sandbox": "supervisor",
}

__all__ = ["Ending", "OnOutput", "PartGiven", "Policy", "ProbeReport", "Request", "RowsGiven", "Sandbox"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
