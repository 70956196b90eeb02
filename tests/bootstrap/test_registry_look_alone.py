"""A look at the registry goes on whatever answers come meanwhile."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from nadg.bootstrap.look import RegistryLook
from nadg.domain.clock import SystemClock
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.engines.grid import WorkerView
from nadg.engines.node import NodeState
from nadg.store import open_store


class Links:
    """A grid whose links are in this state."""

    def __init__(self) -> None:
        self.state: NodeState = "ready"
        self.urls: list[str] = []

    def workers(self) -> list[WorkerView]:
        return [WorkerView(url=url, state=self.state, reason="", info=None, in_flight=0) for url in self.urls]

    def add_worker(self, url: str, token: str) -> None:
        self.urls.append(url)

    async def remove_worker(self, url: str, reason: str = "") -> None:
        self.urls.remove(url)

    def hold_back(self, url: str, reason: str) -> None: ...


async def says_nothing(url: str) -> str:
    return f"{url} gave no answer"


async def answers(url: str) -> WorkerInfo:
    return WorkerInfo(name="local", slots=1, tier=Tier.LANDLOCK)


def gone_process() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_a_local_worker_of_another_master_is_linked_to_and_forgotten_only_with_its_master(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_store(tmp_path / "nadg.db", SystemClock()) as store:
            names = [f"local-{os.getppid()}-1", f"local-{gone_process()}-1"]
            for number, name in enumerate(names):
                await store.workers.add(f"http://127.0.0.1:{number + 1}", name, local=True)
            links = Links()
            look = RegistryLook(store.workers, links, ask=answers, token="t", register=True)
            async with asyncio.TaskGroup() as tasks:
                await look.look(tasks)
            assert links.urls == ["http://127.0.0.1:1", "http://127.0.0.1:2"]
            links.state = "away"
            async with asyncio.TaskGroup() as tasks:
                await look.look(tasks)
            assert [row.name for row in await store.workers.list()] == names[:1], "the other's master lives"

    asyncio.run(scenario())


def test_a_worker_found_silent_while_another_one_is_forgotten_ends_no_look(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_store(tmp_path / "nadg.db", SystemClock()) as store, asyncio.TaskGroup() as tasks:
            for number in (1, 2):
                await store.workers.add(f"http://127.0.0.1:{number}", f"local-0-{number}", local=True)
            look = RegistryLook(store.workers, Links(), ask=says_nothing, token="t", register=True)
            look.unreached("http://127.0.0.1:1", "it was killed")
            await look.look(tasks)
            assert [row.vm_url for row in await store.workers.list()] == ["http://127.0.0.1:2"]
            await look.look(tasks)
            assert await store.workers.list() == []

    asyncio.run(scenario())
