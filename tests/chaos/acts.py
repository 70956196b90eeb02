"""What is done to a grid, and how often: drawn from a seed, so that a trial can be had again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.chaos.processes import Member
from tests.support.faulty_proxy import FaultyProxy
from tests.support.postgres import Server

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Victims:
    """Everything that may be harmed. `server` is None where the database is a file."""

    masters: Sequence[Member]
    workers: Sequence[Member]
    links: Sequence[FaultyProxy]
    """One before each worker."""
    wire: FaultyProxy | None
    """Between the masters and the database."""
    server: Server | None
    database: str
    lease_seconds: float
    owner: Callable[[], int]
    """The process id of the master that holds the run, 0 where that cannot be told just now."""


class Chaos:
    """Kills a worker every 1 to 2 s, a master every 5 s, and does one of the rest every 3 to 5 s."""

    def __init__(self, victims: Victims, seed: int, say: Say) -> None:
        self._victims, self._say = victims, say
        self._random = random.Random(seed)
        self.done: dict[str, int] = {}

    async def go_on(self, seconds: float) -> None:
        """For so long, or until it is cancelled; afterwards everything runs again that was paused or cut."""
        deadline = time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._again(deadline, (1.0, 2.0), self._kill_worker))
                tasks.create_task(self._again(deadline, (5.0, 5.0), self._kill_master))
                tasks.create_task(self._again(deadline, (3.0, 5.0), self._something))
        except TimeoutError:
            return
        finally:
            self._mend()

    async def _again(
        self, deadline: float, pause: tuple[float, float], act: Callable[[], Awaitable[None]]
    ) -> None:
        while time.monotonic() < deadline:
            await asyncio.sleep(self._random.uniform(*pause))
            await act()

    def _tell(self, what: str, whom: str = "") -> None:
        self.done[what] = self.done.get(what, 0) + 1
        self._say(f"{what} {whom}".strip())

    async def _kill_worker(self) -> None:
        await self._kill(self._random.choice(self._victims.workers), "kill -9 of worker")

    async def _kill_master(self) -> None:
        """The one that holds the run, where that is known."""
        await self._kill(await self._holder(), "kill -9 of master")

    async def _holder(self) -> Member:
        owner = await asyncio.to_thread(self._victims.owner)
        holding = [master for master in self._victims.masters if master.process_id == owner]
        return self._random.choice(holding or self._victims.masters)

    async def _kill(self, member: Member, what: str) -> None:
        self._tell(what, member.name)
        await asyncio.to_thread(member.kill)
        member.start()

    async def _something(self) -> None:
        acts = [self._pause_master, self._pause_worker, self._cut_link, self._stall_link]
        if self._victims.server is not None:
            acts += [self._end_backends, self._restart_server, self._cut_wire, self._stall_wire]
        await self._random.choice(acts)()

    async def _pause_master(self) -> None:
        master = await self._holder()
        self._tell("SIGSTOP past its lease of master", master.name)
        master.pause()
        await asyncio.sleep(self._victims.lease_seconds + 2)
        if master.paused:
            master.go_on()

    async def _pause_worker(self) -> None:
        worker = self._random.choice(self._victims.workers)
        self._tell("SIGSTOP for a while of worker", worker.name)
        worker.pause()
        await asyncio.sleep(self._random.uniform(1, 6))
        if worker.paused:
            worker.go_on()

    async def _cut_link(self) -> None:
        self._tell("cut of a link")
        self._random.choice(self._victims.links).cut()

    async def _stall_link(self) -> None:
        self._tell("half-open link for a while")
        await self._stall(self._random.choice(self._victims.links), 4)

    async def _cut_wire(self) -> None:
        self._tell("cut of all connections to the database")
        assert self._victims.wire is not None
        self._victims.wire.cut()

    async def _stall_wire(self) -> None:
        self._tell("half-open connections to the database for a while")
        assert self._victims.wire is not None
        await self._stall(self._victims.wire, 3)

    async def _stall(self, proxy: FaultyProxy, seconds: float) -> None:
        proxy.stall()
        await asyncio.sleep(seconds)
        proxy.cut()
        proxy.pass_on()

    async def _end_backends(self) -> None:
        self._tell("end of PostgreSQL's backends")
        server, name = self._victims.server, self._victims.database
        assert server is not None
        others = f"datname = '{name}' AND pid <> pg_backend_pid()"
        await asyncio.to_thread(
            server.execute, "postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
        )

    async def _restart_server(self) -> None:
        self._tell("crash of PostgreSQL")
        assert self._victims.server is not None
        await asyncio.to_thread(self._victims.server.stop)
        await asyncio.sleep(self._random.uniform(0, 2))
        await asyncio.to_thread(self._victims.server.start)

    def _mend(self) -> None:
        for member in (*self._victims.masters, *self._victims.workers):
            if member.paused:
                member.go_on()
        for proxy in (*self._victims.links, *([self._victims.wire] if self._victims.wire else [])):
            proxy.pass_on()
        if self._victims.server is not None and self._victims.server.process is None:
            self._victims.server.start()
