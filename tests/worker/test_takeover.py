"""Attempts change hands on a real worker process; and a worker whose own master was killed waits for another."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from nadg.link.frames import Ack, Adopt, Cancel, Drain, Finished, Holding, Output, Refused
from tests.support.raw_master import open_link

FOREVER = "import os, time\nprint(os.getpid(), flush=True)\nwhile True: time.sleep(0.05)"
UNTIL_TOLD = "import time\nprint('on', flush=True)\ntime.sleep(0.5)\nresult = 7"


def totals(worker: Any) -> dict[str, int]:
    return dict(httpx.get(worker.url + "/status", headers={"X-NADG-AUTH": worker.token}).json()["totals"])


def test_what_a_gone_master_left_goes_to_the_next_and_runs_once(shared_worker: Any) -> None:
    before = totals(shared_worker)

    async def body() -> None:
        async with open_link(shared_worker, "old") as (old, _):
            await old.assign("taken/ended/0/1", "result = 41")
            await old.hear(Finished)
            await old.assign("taken/runs/0/1", UNTIL_TOLD)
            await old.assign("taken/runs/1/1", FOREVER)
            await old.assign("taken/waits/0/1", "result = 9")
            await old.assign("other/ended/0/1", "result = 3")
            await old.hear(Output, "taken/runs/0/1")
            process = psutil.Process(int((await old.hear(Output, "taken/runs/1/1")).text))
        async with open_link(shared_worker, "new") as (new, hello):
            assert hello.attempts == ()
            await new.say(Adopt(run_id="taken", term=2))
            holding = await new.hear(Holding)
            assert holding.attempts == ("taken/ended/0/1", "taken/runs/0/1", "taken/runs/1/1", "taken/waits/0/1")
            assert holding.started == holding.attempts[:3]
            assert (await new.hear(Finished, "taken/ended/0/1")).outcome.result.inline == b"41"
            assert (await new.hear(Finished, "taken/runs/0/1")).outcome.result.inline == b"7"
            await new.say(Cancel(attempt_id="taken/runs/1/1"))
            assert (await new.hear(Finished, "taken/runs/1/1")).outcome.kind == "cancelled"
            assert not process.is_running()
            assert (await new.hear(Finished, "taken/waits/0/1")).outcome.result.inline == b"9"
            await new.say(Ack(attempt_ids=holding.attempts))
            await new.say(Adopt(run_id="taken", term=2))
            assert (await new.hear(Holding)).attempts == ()
        async with open_link(shared_worker, "old") as (old, hello):
            assert hello.attempts == ("other/ended/0/1",), "of another run: nobody took that over"
            await old.hear(Finished, "other/ended/0/1")
            await old.say(Ack(attempt_ids=("other/ended/0/1",)))

    asyncio.run(body())
    after = totals(shared_worker)
    assert after["succeeded"] - before["succeeded"] == 4
    assert after["cancelled"] - before["cancelled"] == 1


def test_a_deposed_master_changes_nothing(shared_worker: Any) -> None:
    async def body() -> None:
        async with open_link(shared_worker, "old") as (old, _), open_link(shared_worker, "new") as (new, _):
            await old.assign("deposed/s/0/1", FOREVER)
            await old.hear(Output)
            await new.say(Adopt(run_id="deposed", term=3))
            assert (await new.hear(Holding)).attempts == ("deposed/s/0/1",)
            await old.say(Cancel(attempt_id="deposed/s/0/1"), Ack(attempt_ids=("deposed/s/0/1",)))
            await old.assign("deposed/s/1/1", term=2)
            refused = await old.hear(Refused)
            assert (refused.why, refused.reason) == ("deposed", "the run is another master's now")
            await old.say(Adopt(run_id="deposed", term=2))
            assert await old.hear(Holding) == Holding(run_id="deposed", term=2)
            await new.say(Adopt(run_id="deposed", term=3))
            assert (await new.hear(Holding)).started == ("deposed/s/0/1",), "it still runs"
            await new.say(Cancel(attempt_id="deposed/s/0/1"))
            end = await new.hear(Finished)
            await old.say(Ack(attempt_ids=("deposed/s/0/1",)))
            await old.assign("another/s/0/1")
            await old.hear(Finished, "another/s/0/1")  # so the acknowledgement was read
            await old.say(Ack(attempt_ids=("another/s/0/1",)))
            await new.say(Adopt(run_id="deposed", term=3))
            assert await new.hear(Finished) == end, "the new master has not acknowledged it"
            await new.say(Ack(attempt_ids=("deposed/s/0/1",)))

    asyncio.run(body())


def wait_for_end(worker: Any, seconds: float = 20) -> None:
    assert worker.process.wait(seconds) == 0


def test_a_worker_whose_master_was_killed_hands_over_and_ends(start_worker: Any, tmp_path: Path) -> None:
    worker = start_worker(slots=1, grace_seconds=30)
    family = psutil.Process(worker.process.pid).children(recursive=True)

    async def body() -> None:
        async with open_link(worker, "old") as (old, _):
            await old.assign("r/ended/0/1", "result = 41")
            await old.hear(Finished)
            await old.assign("r/runs/0/1", UNTIL_TOLD)
            await old.assign("r/waits/0/1")
            await old.hear(Output)
            worker.orphan()
            await old.hear(Drain)
            assert (await old.hear(Refused)).attempt_id == "r/waits/0/1"
        async with open_link(worker, "new") as (new, hello):
            assert hello.worker is not None
            assert hello.worker.draining == (await new.hear(Drain)).reason == "its master is gone"
            await new.assign("r/waits/0/1", term=2)
            assert (await new.hear(Refused)).why == "busy"
            await new.say(Adopt(run_id="r", term=2))
            assert (await new.hear(Holding)).started == ("r/ended/0/1", "r/runs/0/1")
            await new.hear(Finished, "r/ended/0/1")
            await new.hear(Finished, "r/runs/0/1")
            assert worker.process.poll() is None
            await new.say(Ack(attempt_ids=("r/ended/0/1", "r/runs/0/1")))
            await asyncio.to_thread(wait_for_end, worker)

    asyncio.run(body())
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert not (tmp_path / "w").exists()


def test_a_worker_whose_master_was_killed_ends_with_the_grace_time(start_worker: Any, tmp_path: Path) -> None:
    worker = start_worker(grace_seconds=0.5)

    async def body() -> None:
        async with open_link(worker) as (master, _):
            await master.assign("r/ended/0/1")
            await master.hear(Finished)
            await master.assign("r/runs/0/1", FOREVER)
            await master.hear(Output)

    asyncio.run(body())
    worker.orphan()
    wait_for_end(worker)
    assert not (tmp_path / "w").exists()


def test_what_another_master_took_over_may_outlast_the_grace_time(start_worker: Any) -> None:
    worker = start_worker(grace_seconds=0.2)

    async def body() -> None:
        async with open_link(worker, "old") as (old, _), open_link(worker, "new") as (new, _):
            await old.assign("r/s/0/1", UNTIL_TOLD)
            await old.hear(Output)
            await new.say(Adopt(run_id="r", term=2))
            worker.orphan()
            assert (await new.hear(Finished)).outcome.kind == "succeeded"
            await new.say(Ack(attempt_ids=("r/s/0/1",)))
            await asyncio.to_thread(wait_for_end, worker)

    asyncio.run(body())


def test_an_idle_worker_ends_with_its_master_and_one_told_to_stop_does_not_wait(start_worker: Any) -> None:
    idle, told = start_worker("idle"), start_worker("told", grace_seconds=600)
    idle.orphan()

    async def body() -> None:
        async with open_link(told) as (master, _):
            await master.assign("r/s/0/1", FOREVER)
            await master.hear(Output)
            told.orphan()
            await master.hear(Drain)

    asyncio.run(body())
    began = time.monotonic()
    told.process.terminate()
    wait_for_end(told)
    wait_for_end(idle)
    assert time.monotonic() - began < 5
