"""How many isolated no-op tasks a second pass a worker's runner and sandbox, and what do others reach?

Through the runner as a link drives it (its frames are taken in this process, so that no network is timed),
with as many slots as cores and enough attempts waiting. References, in turn with it: a bare fork loop in a
process with the same modules loaded, and one such loop per core. Peers, each where it is installed
(`pip install 'nadg[peers]'`), with a fresh process for every task as here: Celery, Ray, Dask.

    python benchmarks/sandbox_throughput.py [--count 2000] [--rounds 5] [--slots 2] [--peer-count 20]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

from bare_fork import fork_rate
from environment import print_environment, spread

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.clock import SystemClock
from nadg.domain.limits import Limits
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.link.blobfolder import BlobFolder
from nadg.link.frames import Finished, Frame
from nadg.link.session import Session
from nadg.sandbox import Policy, Sandbox
from nadg.worker.runner import Runner
from nadg.worker.tenant import Tenant

BACKLOG = 128
"""As a worker has by default: what waits here while the slots are taken."""
WANTED_RATIO = 0.5
PEERS = {
    "celery": ("Celery, --max-tasks-per-child 1", "peer_celery.py"),
    "ray": ("Ray, max_calls=1", "peer_ray.py"),
    "distributed": ("Dask, each runs python -c", "peer_dask.py"),
}
PEER_SECONDS = 300


class Master:
    """The other end of the link, in this process: keeps the worker's backlog full, acknowledges every end."""

    pending_bytes = 0

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._tenant: Tenant = runner.attach("benchmark", cast(Session, self))
        self._rounds = 0
        self._to_send: list[Assignment] = []
        self._left = 0
        self._done = asyncio.Event()

    def send(self, frame: Frame, soon: bool = True) -> None:
        if not isinstance(frame, Finished):
            return
        if frame.outcome.kind != "succeeded":
            raise SystemExit(f"an attempt {frame.outcome.kind}: {frame.outcome.reason}")
        asyncio.get_running_loop().call_soon(self._acknowledge, frame.attempt_id)

    def close(self, reason: str) -> None:
        pass

    async def rate(self, count: int) -> float:
        """Attempts a second, from the first assignment to the last end."""
        self._rounds += 1
        names = (f"{self._rounds}/nothing/{number}/1" for number in range(count))
        job = Code(code="result = 1")
        self._to_send = [Assignment(attempt_id=name, job=job, piece=Whole()) for name in names]
        self._left = count
        self._done.clear()
        started = time.perf_counter()
        for _ in range(min(count, self._runner.window)):
            self._runner.assign(self._tenant, self._to_send.pop())
        await self._done.wait()
        return count / (time.perf_counter() - started)

    def _acknowledge(self, attempt_id: str) -> None:
        self._runner.acknowledge(self._tenant, attempt_id)
        self._left -= 1
        if self._to_send:
            self._runner.assign(self._tenant, self._to_send.pop())
        if not self._left:
            self._done.set()


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Rates by name, one per round, each round one after another of all that is compared."""
    tier = Tier(options.tier) if options.tier else None
    found: dict[str, list[float]] = {"sandbox": [], "one loop": [], "a loop per slot": []}
    blobs = BlobFolder(folder / "blobs")
    policy = Policy(tier=tier, zygotes={"lean": ()}, forked_ahead=options.slots)
    async with Sandbox(policy, folder / "sandbox", blobs) as sandbox:
        print(f"tier {sandbox.tier}, {options.slots} slots, {options.count} tasks a round")
        runner = create_runner(sandbox, blobs, options.slots, policy.caps)
        house = asyncio.create_task(runner.run())
        await asyncio.sleep(0)  # it keeps house from its first step on
        master = Master(runner)
        await master.rate(options.count // 4)
        for _ in range(options.rounds):
            found["one loop"].append(fork_rate(options.count))
            found["sandbox"].append(await master.rate(options.count))
            found["a loop per slot"].append(fork_rate(options.count, loops=options.slots))
        house.cancel()
        await asyncio.wait([house])
    return found


def create_runner(sandbox: Sandbox, blobs: BlobFolder, slots: int, caps: Limits) -> Runner:
    info = WorkerInfo(name="w", slots=slots, tier=sandbox.tier, python_version=platform.python_version())
    clock = SystemClock()
    return Runner(
        info, sandbox=sandbox, blobs=blobs, skills={}, clock=clock, caps=caps, backlog=BACKLOG, grace_seconds=30
    )


def peer_rates(program: str, count: int, rounds: int, slots: int) -> list[float] | str:
    """What a peer reaches, or why it did not run."""
    command = [sys.executable, str(Path(__file__).with_name(program)), str(count), str(rounds), str(slots)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PEER_SECONDS)
    except subprocess.TimeoutExpired:
        return f"it took longer than {PEER_SECONDS} s"
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    return [float(line) for line in done.stdout.split()]


def report_peers(options: argparse.Namespace, ours: float) -> None:
    for module, (name, program) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{name:32} not installed: pip install 'nadg[peers]'")
            continue
        rates = peer_rates(program, options.peer_count, options.rounds, options.slots)
        if isinstance(rates, str):
            print(f"{name:32} did not run: {rates}")
        else:
            print(f"{name:32} {spread(rates, 'tasks/s')}; the sandbox is x{ours / statistics.median(rates):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="tasks a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=len(os.sched_getaffinity(0)), help="default: one per core")
    parser.add_argument("--tier", choices=["landlock", "namespaces"], help="default: the best this host has")
    parser.add_argument("--peer-count", type=int, default=20, help="tasks a round of each peer; 0: no peers")
    options = parser.parse_args()
    print_environment("msgspec")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(options, Path(folder)))
    ours = statistics.median(found["sandbox"])
    print(f"{'runner and sandbox':32} {spread(found['sandbox'], 'tasks/s')}")
    loops = {"one loop": "bare fork loop", "a loop per slot": f"{options.slots} such loops side by side"}
    for name, what in loops.items():
        ratios = [one / other for one, other in zip(found["sandbox"], found[name], strict=True)]
        print(f"{what:32} {spread(found[name], 'tasks/s')}; the sandbox is {spread(ratios, 'of it')}")
    if ours / statistics.median(found["one loop"]) < WANTED_RATIO:
        print(f"less than the wanted {WANTED_RATIO:g} of the bare fork loop")
    if options.peer_count:
        report_peers(options, ours)


if __name__ == "__main__":
    main()
