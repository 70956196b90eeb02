"""The registry of workers as a list that fits 80 columns: facts in a line, address and reason below."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nadg.cli.render.safe import one_line
from nadg.cli.render.units import ago, moment
from nadg.domain.worker import WorkerNode, WorkerStatus

GAP = "  "
HEADER = ("WORKER", "STATUS", "SLOTS", "SANDBOX", "DONE", "LAST SEEN", "ID")

UNSEEN_AFTER = datetime.timedelta(seconds=30)
"""Every master with a link says so each two seconds."""


def workers_list(workers: Iterable[WorkerNode], now: datetime.datetime) -> Group:
    """All of these, in the order given."""
    nodes = list(workers)
    rows = [HEADER, *(_facts(node, now) for node in nodes)]
    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(HEADER))]
    shown: list[RenderableType] = [_line(HEADER, widths, "bold")]
    for row, node in zip(rows[1:], nodes, strict=True):
        shown.append(_line(row, widths))
        for detail in (one_line(node.vm_url, 200), one_line(node.reason, 300) or _unseen(node, now)):
            if detail:
                shown.append(Padding(Text(detail, overflow="fold"), (0, 0, 0, 2), expand=False))
    return Group(*shown)


def _facts(node: WorkerNode, now: datetime.datetime) -> tuple[str, ...]:
    return (
        one_line(node.name or "–", 24),
        "not seen" if _unseen(node, now) else str(node.status),
        str(node.slots or "–"),
        one_line(node.tier or "–", 12),
        str(node.total_tasks),
        ago(node.last_ping, now),
        node.id,
    )


def _unseen(node: WorkerNode, now: datetime.datetime) -> str:
    """What there is to say of one whose status is older than any master with a link would leave it.

    The row stays: it is the reader's judgement, and the next master's to look. Empty where all is well.
    """
    stale = node.status in (WorkerStatus.ACTIVE, WorkerStatus.BUSY)
    if not stale or (node.last_ping is not None and now - node.last_ping <= UNSEEN_AFTER):
        return ""
    since = f"not seen since {moment(node.last_ping)} UTC" if node.last_ping is not None else "not seen yet"
    return f"{since}: no master has a link to it"


def _line(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
    return Text(GAP.join(padded).rstrip(), style=style, no_wrap=True, overflow="ignore")
