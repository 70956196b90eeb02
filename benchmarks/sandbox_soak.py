"""Does a worker stay whole under good code and attacks: nothing left behind, every good task right?

A real worker process, over its real link, gets a random mix (about 70 % good code, 30 % attacks; the same for
the same seed). Now and then this program kills one of the worker's warm processes from outside. Meanwhile a
process of its own asks GET /health every 20 ms. Exit status 1 if anything broke.

    python benchmarks/sandbox_soak.py [--attempts 20000] [--slots 2] [--seed 1] [--tier namespaces]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from environment import print_environment
from footprint import Footprint, adopt_orphans, left_behind, take_footprint
from health import HealthPoller
from soak_attacks import SECRET, Targets, attack_makers
from soak_findings import Findings, broken, report
from soak_good import good_makers
from soak_load import Soak, run_tasks
from soak_task import Maker, SoakTask, draw, gives

from nadg.domain.clock import SystemClock
from nadg.domain.errors import UserError
from nadg.domain.tier import Tier
from nadg.engines.grid import GridEngine
from nadg.engines.local import Launch, LocalWorkers
from nadg.link.blobfolder import BlobFolder
from nadg.sandbox import Policy
from nadg.worker.settings import WorkerSettings

ATTACK_SHARE = 0.3
KILLS = 20
"""Warm processes killed from outside over a whole soak; in a short one fewer: one in 75 attempts."""
IN_FLIGHT_BEYOND_SLOTS = 8
SETTLE_SECONDS = 20.0
CACHE_BYTES = 16 << 20
SHOWN = 10


async def warm_up(soak: Soak, slots: int) -> None:
    """Use every slot at once, and every warm process: what a worker keeps ready is there afterwards."""
    wait = SoakTask(kind="warm-up", code="import time\ntime.sleep(0.5)", judge=gives(None))
    await run_tasks(soak, range(4 * slots), slots, lambda _: wait)
    await soak.carry(SoakTask(kind="warm-up", code="import pandas\nresult = 1", judge=gives(1)), 0)
    await run_tasks(soak, range(slots), slots, lambda _: wait)


async def settled(take: Callable[[], Footprint], before: Footprint | None = None) -> Footprint:
    """The footprint as soon as nothing has grown, or as it is after a while; the worker tells nobody of it."""
    deadline = time.monotonic() + SETTLE_SECONDS
    found = take()
    while before is not None and found.grown(before) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        found = take()
    return found


async def soak_worker(options: argparse.Namespace, folder: Path, findings: Findings) -> None:
    """Start the worker, do everything to it, stop it."""
    launch = create_launch(options, folder)
    blobs = BlobFolder(folder / "master")
    async with (
        GridEngine(blobs, SystemClock()) as engine,
        LocalWorkers(engine, [launch], max_restarts=0) as workers,
    ):
        await engine.wait_ready(1, SETTLE_SECONDS)
        (view,), (worker,) = engine.workers(), workers.process_ids
        assert view.info is not None
        print(f"worker {worker}: tier {view.info.tier}, {view.info.slots} slots, seed {options.seed}")
        soak = Soak(engine, blobs, worker, findings)
        mix = create_mix(options.seed, blobs, create_targets(folder, worker, view.url))
        await warm_up(soak, options.slots)
        with HealthPoller(view.url) as poller:
            take = create_taking(worker, folder, (poller.process_id,))
            before = findings.footprints["before"] = await settled(take)
            began = time.monotonic()
            half = options.attempts // 2
            for name, numbers in (("half", range(half)), ("after", range(half, options.attempts))):
                await run_part(soak, numbers, options, mix)
                findings.seconds = time.monotonic() - began
                await warm_up(soak, options.slots)
                findings.footprints[name] = await settled(take, before)
        findings.latencies, findings.health_failures = poller.latencies, poller.failures
        if workers.process_ids != [worker] or not psutil.pid_exists(worker):
            findings.unexplained.append("the worker itself ended")


async def run_part(
    soak: Soak, numbers: range, options: argparse.Namespace, mix: Callable[[int], SoakTask]
) -> None:
    """One half of the attempts, with the kills that fall into it."""
    every = max(75, options.attempts // KILLS)

    def next_task(number: int) -> SoakTask:
        if number % every == every - 1:
            soak.kill_warm_process(random.Random(number))
        if number % max(1, options.attempts // 10) == 0:
            print(f"{number} attempts", file=sys.stderr, flush=True)
        return mix(number)

    await run_tasks(soak, numbers, options.slots + IN_FLIGHT_BEYOND_SLOTS, next_task)


def create_mix(seed: int, blobs: BlobFolder, targets: Targets) -> Callable[[int], SoakTask]:
    """The task of each number: the same for the same seed, in whatever order they are asked for."""
    good: dict[Maker, float] = good_makers(blobs)
    attacks: dict[Maker, float] = attack_makers(targets)

    def mix(number: int) -> SoakTask:
        chance = random.Random(f"{seed}/{number}")
        return draw(chance, attacks if chance.random() < ATTACK_SHARE else good)

    return mix


def create_launch(options: argparse.Namespace, folder: Path) -> Launch:
    settings = WorkerSettings(
        name="soak",
        root=str(folder / "worker"),
        port=0,
        token="the token of the soak",
        slots=options.slots,
        cache_bytes=CACHE_BYTES,
        policy=create_policy(options.tier),
    )
    argv = (sys.executable, "-m", "nadg.worker")
    return Launch(argv=argv, settings=settings.line(), token=settings.token, log=folder / "worker.log")


def create_policy(tier: str | None) -> Policy:
    """With a user for the tasks that no other worker on this machine has, to know whose process is whose."""
    return Policy(tier=Tier(tier) if tier else None, task_uid=Policy().task_uid + 1 + os.getpid() % 4000)


def create_targets(folder: Path, worker: int, url: str) -> Targets:
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    return Targets(secret=secret, worker_process=worker, worker_port=urlsplit(url).port or 0)


def create_taking(worker: int, folder: Path, known: Collection[int]) -> Callable[[], Footprint]:
    return lambda: take_footprint(worker, folder / "worker", known)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tier", choices=["landlock", "namespaces"], help="default: the best this host has")
    parser.add_argument("--only-facts", action="store_true", help="do not judge /health's times and memory growth")
    options = parser.parse_args()
    if options.attempts < 2 or options.slots < 1:
        parser.error("--attempts must be at least 2 and --slots at least 1")
    print_environment("msgspec", "websockets", "uvicorn")
    adopt_orphans()
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="nadg-soak-") as folder:
        root = Path(folder)
        root.chmod(0o755)  # so that only the sandbox keeps its attempts from what stands here
        try:
            asyncio.run(soak_worker(options, root, findings))
        except UserError as error:
            print(error, file=sys.stderr)
            return 2
        task_user = create_policy(options.tier).task_uid if os.geteuid() == 0 else None
        findings.left = left_behind(root / "worker", task_user)
    report(findings, options.attempts)
    problems = broken(findings, only_facts=options.only_facts)
    for problem in problems[:SHOWN]:
        print(f"BROKEN {problem}")
    print(f"{len(problems)} problems" if problems else "nothing broke")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
