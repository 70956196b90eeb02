from __future__ import annotations

import datetime

from nadg.cli.render.units import ago
from nadg.cli.render.workers import workers_list
from nadg.domain.worker import WorkerNode, WorkerStatus
from tests.cli.test_render import NOON, shown

QUARANTINED = WorkerNode(
    id="4f3a12bc90de",
    vm_url="http://192.0.2.10:7860",
    status=WorkerStatus.QUARANTINED,
    total_tasks=1204,
    last_ping=NOON - datetime.timedelta(seconds=3),
    name="local-12345-1",
    slots=2,
    tier="namespaces",
    reason="until 12:03:20 UTC, since it failed 3 times in a row by its own fault: no space left on the device",
)


def test_the_list_of_workers_fits_80_columns_and_leaves_nothing_out() -> None:
    lines = shown(
        workers_list([QUARANTINED, WorkerNode(id="0", vm_url="http://b", status=WorkerStatus.OFFLINE)], NOON),
        width=80,
    )
    assert [line.rstrip() for line in lines.splitlines()] == [
        "WORKER         STATUS       SLOTS  SANDBOX     DONE  LAST SEEN  ID",
        "local-12345-1  quarantined  2      namespaces  1204  3 s ago    4f3a12bc90de",
        "  http://192.0.2.10:7860",
        "  until 12:03:20 UTC, since it failed 3 times in a row by its own fault: no",
        "  space left on the device",
        "–              offline      –      –           0     –          0",
        "  http://b",
    ]


def test_how_long_ago_something_was() -> None:
    for seconds, text in ((-5, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days")):
        assert ago(NOON - datetime.timedelta(seconds=seconds), NOON) == f"{text} ago"
    assert ago(None, NOON) == "–"


def test_a_status_that_no_master_keeps_up_is_not_believed() -> None:
    def lines(status: WorkerStatus, seconds: int | None) -> list[str]:
        ping = None if seconds is None else NOON - datetime.timedelta(seconds=seconds)
        node = WorkerNode(id="0", vm_url="http://b", status=status, last_ping=ping)
        return [line.strip() for line in shown(workers_list([node], NOON), width=80).splitlines()[1:]]

    assert "active" in lines(WorkerStatus.ACTIVE, 30)[0]
    assert "not seen" in lines(WorkerStatus.BUSY, 31)[0]
    assert lines(WorkerStatus.BUSY, 31)[2].startswith("not seen since 2")
    assert "not seen yet" in lines(WorkerStatus.ACTIVE, None)[2]
    assert "draining" in lines(WorkerStatus.DRAINING, 3600)[0]
