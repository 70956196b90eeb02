"""What the link costs: round trips and assignments a second, against a loop of HTTP POSTs in the same run.

The worker is a process of its own whose sandbox is replaced by one that does nothing, so that fleet, link
and runner stand alone. Run: `python benchmarks/link.py [--assignments N] [--posts N]`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import os
import platform
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.clock import SystemClock
from nadg.domain.events import AttemptEvent, AttemptFinished, AttemptLost
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.engines.grid import GridEngine
from nadg.link.blobfolder import BlobFolder
from nadg.link.dial import TOKEN_HEADER, dial
from nadg.link.frames import VERSION, Bye, Hello, Ping, decode_message, encode_frame, join_message
from nadg.link.session import receive_hello, send_hello

TOKEN = "benchmark"


class Counting:
    """Counts ends and acknowledges them; `done` is set at the last."""

    def __init__(self, expected: int, engine: GridEngine) -> None:
        self._engine = engine
        self.left = expected
        self.lost = 0
        self.done = asyncio.Event()

    def event(self, event: AttemptEvent) -> None:
        if isinstance(event, AttemptFinished | AttemptLost):
            self._engine.acknowledge([event.attempt_id])
            self.left -= 1
            self.lost += isinstance(event, AttemptLost)
            if not self.left:
                self.done.set()

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        pass


def serve_without_sandbox(root: Path) -> None:
    """The worker process."""
    from nadg.domain.blob import Value
    from nadg.sandbox import Ending, Request
    from nadg.sandbox.policy import GENEROUS
    from nadg.worker.app import create_app
    from nadg.worker.linkdoor import LinkDoor
    from nadg.worker.routes import WorkerParts
    from nadg.worker.runner import Runner
    from nadg.worker.server import WorkerServer, listen, uvicorn_config

    class Nothing:
        async def run(self, request: Request, on_output: Callable[[str, str], None]) -> Ending:
            at = datetime.datetime.now(datetime.UTC)
            return Ending(kind="succeeded", result=Value(inline=b"1"), started_at=at, finished_at=at)

    async def body() -> None:
        blobs = BlobFolder(root / "blobs")
        info = WorkerInfo(name=root.name, slots=2, tier=Tier.LANDLOCK)
        runner = Runner(
            info,
            sandbox=Nothing(),
            blobs=blobs,
            skills={},
            clock=SystemClock(),
            backlog=128,
            grace_seconds=5,
            caps=GENEROUS,
        )
        parts = WorkerParts(runner=runner, blobs=blobs, skills=(), broken_skills={}, sandbox_report={})
        app = create_app(parts, LinkDoor(runner, blobs, secrets.token_hex(8), 5.0), TOKEN, loopback_only=True)
        with listen("127.0.0.1", 0) as listener:
            server = WorkerServer(uvicorn_config(app))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(runner.run())
                tasks.create_task(server.serve(sockets=[listener]))
                await server.wait_started()
                print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(body())


async def round_trips(url: str, count: int, together: int) -> float:
    """Pings answered a second over one link, so many to a message."""
    wire = await dial(url, TOKEN)
    await send_hello(wire, Hello(version=VERSION, peer_id="benchmark-pings"))
    await receive_hello(wire, "worker")
    message = join_message([encode_frame(Ping(number=number)) for number in range(together)])
    started = time.perf_counter()
    answered = 0
    while answered < count:
        await wire.send(message)
        waiting = together
        while waiting:
            waiting -= len(decode_message(await wire.receive()))
        answered += together
    seconds = time.perf_counter() - started
    await wire.send(join_message([encode_frame(Bye(reason="done"))]))
    await wire.close("done")
    return answered / seconds


async def assignments(engine: GridEngine, count: int) -> tuple[float, float]:
    """Attempts a second through fleet, link and runner, and this process's CPU milliseconds for each."""
    sink = Counting(count, engine)
    run_id = secrets.token_hex(8)
    cpu = time.process_time()
    started = time.perf_counter()
    for index in range(count):
        attempt_id = f"{run_id}/trivial/{index}/1"
        await engine.submit(Assignment(attempt_id=attempt_id, job=Code(code="result = 1"), piece=Whole()), sink)
    await sink.done.wait()
    seconds = time.perf_counter() - started
    assert not sink.lost
    return count / seconds, (time.process_time() - cpu) / count * 1000


async def posts(url: str, count: int, together: int) -> float:
    """The same work as a fan-out of POSTs a second."""
    async with httpx.AsyncClient(headers={TOKEN_HEADER: TOKEN}, timeout=60) as client:
        started = time.perf_counter()

        async def loop(share: int) -> None:
            for _ in range(share):
                answer = await client.post(f"{url}/execute-python", json={"task": "result = 1"})
                assert answer.status_code in (200, 429), answer.text

        async with asyncio.TaskGroup() as tasks:
            for _ in range(together):
                tasks.create_task(loop(count // together))
        return count / (time.perf_counter() - started)


@contextlib.asynccontextmanager
async def grid(urls: list[str], folder: Path) -> AsyncIterator[GridEngine]:
    async with GridEngine(BlobFolder(folder), SystemClock()) as engine:
        for url in urls:
            engine.add_worker(url, TOKEN)
        await engine.wait_ready(len(urls), 20)
        yield engine


async def measure(urls: list[str], folder: Path, options: argparse.Namespace) -> None:
    for together in (1, 64):
        trips = await round_trips(urls[0], 2000 * together, together)
        print(f"round trips over one link, {together:2d} at a time    {trips:9.0f} /s")
    async with grid(urls, folder) as engine:
        await assignments(engine, 200)
        for _ in range(3):
            rate, cpu = await assignments(engine, options.assignments)
            print(f"assignments through fleet, link and runner {rate:9.0f} /s   master CPU {cpu:.3f} ms each")
    post_rate = await posts(urls[0], options.posts, 2)
    print(f"POST /execute-python, 2 at a time (httpx)  {post_rate:9.0f} /s")
    print(f"ratio assignments : POSTs                  {rate / post_rate:9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assignments", type=int, default=5000)
    parser.add_argument("--posts", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--serve", type=Path)
    options = parser.parse_args()
    if options.serve:
        serve_without_sandbox(options.serve)
        return
    print(
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()}"
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        workers = []
        for number in range(options.workers):
            argv = [sys.executable, __file__, "--serve", f"{folder}/worker-{number}"]
            workers.append(stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)))
            stack.callback(workers[-1].terminate)
        urls = [worker.stdout.readline().strip() for worker in workers if worker.stdout]
        asyncio.run(measure(urls, Path(folder) / "master", options))
        for worker in workers:
            worker.terminate()
            worker.wait()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"worker processes' CPU, start included      {usage.ru_utime + usage.ru_stime:9.1f} s")


if __name__ == "__main__":
    main()
