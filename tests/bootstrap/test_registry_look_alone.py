"""A look at the registry goes on whatever answers come meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nadg.bootstrap.look import RegistryLook
from nadg.domain.clock import SystemClock
from nadg.engines.grid import WorkerView
from nadg.store import open_store


class NoLinks:
    """A grid without workers."""

    def workers(self) -> list[WorkerView]:
        return []

    def add_worker(self, url: str, token: str) -> None: ...

    async def remove_worker(self, url: str, reason: str = "") -> None: ...

    def hold_back(self, url: str, reason: str) -> None: ...


async def says_nothing(url: str) -> str:
    return f"{url} gave no answer"


def test_a_worker_found_silent_while_another_one_is_forgotten_ends_no_look(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_store(tmp_path / "nadg.db", SystemClock()) as store, asyncio.TaskGroup() as tasks:
            for number in (1, 2):
                await store.workers.add(f"http://127.0.0.1:{number}", f"local-0-{number}", local=True)
            look = RegistryLook(store.workers, NoLinks(), ask=says_nothing, token="t", register=True)
            look.unreached("http://127.0.0.1:1", "it was killed")
            await look.look(tasks)
            assert [row.vm_url for row in await store.workers.list()] == ["http://127.0.0.1:2"]
            await look.look(tasks)
            assert await store.workers.list() == []

    asyncio.run(scenario())
