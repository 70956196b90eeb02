"""A real worker process, spoken to frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx
import msgspec
import psutil
import pytest

from nadg.domain.assignment import SkillCall
from nadg.domain.errors import LinkLost
from nadg.domain.tier import Tier
from nadg.link.dial import dial
from nadg.link.frames import (
    MAX_MESSAGE_BYTES,
    Ack,
    Bye,
    Cancel,
    Drain,
    Finished,
    Hello,
    Output,
    Refused,
    Started,
    encode_frame,
    join_message,
)
from tests.support.raw_master import RawMaster, linked, open_link

FOREVER = "import os, time\nprint(os.getpid(), flush=True)\nwhile True: time.sleep(0.05)"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"rubbish", "does not decode"),
        (msgspec.msgpack.encode([{"frame": "launch"}]), "does not decode"),
        (join_message([encode_frame(Drain())]), "does not send Drain"),
        (join_message([encode_frame(Hello(version=1, peer_id="again"))]), "second Hello"),
    ],
)
def test_a_bad_frame_closes_the_link_with_a_reason(shared_worker: Any, message: bytes, why: str) -> None:
    async def use(master: RawMaster) -> None:
        await master.wire.send(message)
        assert why in (await master.hear(Bye)).reason
        with pytest.raises(LinkLost):
            await master.hear(Finished)

    linked(shared_worker, use)


def test_an_oversize_message_closes_the_link_and_the_worker_lives(shared_worker: Any) -> None:
    async def use(master: RawMaster) -> None:
        with contextlib.suppress(LinkLost):  # it may close while the message is still going out
            await master.wire.send(bytes(MAX_MESSAGE_BYTES + 1))
        with pytest.raises(LinkLost):
            await master.hear(Finished)

    linked(shared_worker, use)
    assert httpx.get(shared_worker.url + "/health").status_code == 200


def test_a_master_of_another_version_is_told(shared_worker: Any) -> None:
    async def body() -> None:
        wire = await dial(shared_worker.url, shared_worker.token)
        master = RawMaster(wire)
        await master.say(Hello(version=99, peer_id="m"))
        assert "upgrade the older" in (await master.hear(Bye)).reason
        await wire.close("")

    asyncio.run(body())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"labels": ("gpu",)}, "lacks the label gpu"),
        ({"min_tier": Tier.NAMESPACES}, "namespaces is wanted"),
        ({"work": SkillCall(skill="no.such")}, "does not have the skill no.such"),
    ],
)
def test_what_it_cannot_do_it_refuses(shared_worker: Any, fields: dict[str, Any], why: str) -> None:
    async def use(master: RawMaster) -> None:
        await master.assign("r/s/0/1", **fields)
        refused = await master.hear(Refused)
        assert (refused.why, why in refused.reason) == ("cannot", True)

    linked(shared_worker, use)


def test_beyond_its_window_it_is_busy(start_worker: Any) -> None:
    worker = start_worker(slots=1, backlog=2)

    async def body() -> None:
        async with open_link(worker) as (master, hello):
            assert hello.window == 3
            for index in range(4):
                await master.assign(f"r/s/{index}/1", FOREVER)
            refused = await master.hear(Refused)
            assert (refused.attempt_id, refused.why) == ("r/s/3/1", "busy")

    asyncio.run(body())


def test_cancel_kills_the_process_and_one_that_waits_never_runs(start_worker: Any) -> None:
    async def use(master: RawMaster) -> None:
        await master.assign("r/s/0/1", FOREVER)
        await master.assign("r/s/1/1", FOREVER)
        process = psutil.Process(int((await master.hear(Output)).text))
        await master.say(Cancel(attempt_id="r/s/1/1"), Cancel(attempt_id="r/s/0/1"))
        waiting = await master.hear(Finished, "r/s/1/1")
        running = await master.hear(Finished, "r/s/0/1")
        assert (waiting.outcome.kind, running.outcome.kind) == ("cancelled", "cancelled")
        assert not process.is_running()
        assert [frame for frame in master.heard if isinstance(frame, Started)][1:] == []

    linked(start_worker(slots=1), use)


def test_an_end_is_said_again_until_it_is_acknowledged(shared_worker: Any) -> None:
    async def body() -> None:
        async with open_link(shared_worker, "again") as (master, hello):
            assert hello.attempts == ()
            await master.assign("r/s/0/1", "result = 41")
            first = await master.hear(Finished)
        async with open_link(shared_worker, "other") as (_, hello):
            assert hello.attempts == (), "another master hears nothing of it"
        async with open_link(shared_worker, "again") as (master, hello):
            assert hello.attempts == ("r/s/0/1",)
            assert await master.hear(Finished) == first
            await master.assign("r/s/0/1", "result = 42")
            await master.say(Ack(attempt_ids=("r/s/0/1",)), Cancel(attempt_id="r/s/0/1"))
            await master.assign("r/s/1/1")
            assert (await master.hear(Finished)).attempt_id == "r/s/1/1"
            await master.say(Ack(attempt_ids=("r/s/1/1",)))
        async with open_link(shared_worker, "again") as (_, hello):
            assert hello.attempts == ()

    asyncio.run(body())


def test_a_master_that_stays_away_has_its_attempts_stopped(start_worker: Any) -> None:
    worker = start_worker(grace_seconds=0.1)

    async def body() -> None:
        async with open_link(worker) as (master, _):
            await master.assign("r/s/0/1", FOREVER)
            process = psutil.Process(int((await master.hear(Output)).text))
        await asyncio.to_thread(process.wait, 20)
        async with httpx.AsyncClient() as client:
            while (await client.get(worker.url + "/status")).json()["running"]:
                pass
        async with open_link(worker) as (master, hello):
            assert hello.attempts == ()

    asyncio.run(body())


def test_a_newer_link_of_a_master_takes_the_place_of_the_older(shared_worker: Any) -> None:
    async def body() -> None:
        async with (
            open_link(shared_worker, "twice") as (older, _),
            open_link(shared_worker, "twice") as (newer, _),
        ):
            assert "newer link" in (await older.hear(Bye)).reason
            await newer.assign("r/s/0/1")
            assert (await newer.hear(Finished)).outcome.kind == "succeeded"
            await newer.say(Ack(attempt_ids=("r/s/0/1",)))

    asyncio.run(body())


def test_masters_take_turns(start_worker: Any) -> None:
    worker = start_worker(slots=1)

    async def body() -> None:
        async with open_link(worker, "first") as (first, _), open_link(worker, "second") as (second, _):
            await first.assign("a/s/0/1", "import time; time.sleep(0.3)")
            await first.hear(Started)
            for index in range(1, 6):
                await first.assign(f"a/s/{index}/1")
            await second.assign("b/s/0/1")
            late = await second.hear(Started)
            for index in range(6):
                await first.hear(Finished, f"a/s/{index}/1")
            starts = sorted(frame.at for frame in first.heard if isinstance(frame, Started))
            assert late.at < starts[1], "one of the other's came before it, not five"

    asyncio.run(body())


def test_sigterm_drains_says_goodbye_and_leaves_nothing(start_worker: Any) -> None:
    worker = start_worker(slots=1, drain_seconds=30)

    async def use(master: RawMaster) -> None:
        await master.assign("r/s/0/1", "import time; print('on', flush=True); time.sleep(0.2); result = 1")
        await master.hear(Output)
        await master.assign("r/s/1/1")
        family = psutil.Process(worker.process.pid).children(recursive=True)
        worker.process.terminate()
        await master.hear(Drain)
        assert (await master.hear(Refused)).attempt_id == "r/s/1/1"
        assert (await master.hear(Finished)).outcome.kind == "succeeded"
        await master.say(Ack(attempt_ids=("r/s/0/1",)))
        assert (await master.hear(Bye)).reason == "the worker stops"
        assert await asyncio.to_thread(worker.process.wait, 20) == 0
        assert psutil.wait_procs(family, timeout=10)[1] == []

    linked(worker, use)
