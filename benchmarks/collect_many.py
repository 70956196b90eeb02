"""How long does the event loop of a worker stand still while 100,000 small files of an attempt are collected?

Peer in the same run: the loop's delays while a thread does nothing but hash, which is as good as Python can be.

    python benchmarks/collect_many.py [--files 100000] [--folders 100] [--same]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

from environment import print_environment

from nadg.domain.limits import Limits
from nadg.link.blobfolder import BlobFolder
from nadg.sandbox.collect import collect_aside
from nadg.sandbox.remove import remove_tree

TICK_SECONDS = 0.001


def make_files(work: Path, files: int, folders: int, same: bool) -> None:
    for folder in range(folders):
        (work / str(folder)).mkdir()
    for index in range(files):
        content = "same" if same else str(index)
        (work / str(index % folders) / f"a file with a name of usual length {index}").write_text(content)


async def worst_delays(name: str, work: Awaitable[object]) -> None:
    """Print how late a timer of the loop was at worst while this was awaited."""
    delays: list[float] = []
    task = asyncio.ensure_future(work)
    begun = time.perf_counter()
    while not task.done():
        due = time.perf_counter() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        delays.append(time.perf_counter() - due)
    took = time.perf_counter() - begun
    delays.sort()
    p999 = delays[int(len(delays) * 0.999)]
    print(f"{name:8} {took:6.1f} s, the loop's worst delay {delays[-1] * 1e3:6.1f} ms, p99.9 {p999 * 1e3:5.1f} ms")
    await task


def hash_for(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        hashlib.sha256(b"x" * (1 << 20)).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folders", type=int, default=1)
    parser.add_argument(
        "--same", action="store_true", help="all with the same content, so that one blob is written"
    )
    arguments = parser.parse_args()
    print_environment()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "work")
        work.mkdir()
        make_files(work, arguments.files, arguments.folders, arguments.same)
        asyncio.run(measure(work, BlobFolder(Path(folder, "blobs")), arguments.files))


async def measure(work: Path, blobs: BlobFolder, files: int) -> None:
    fd = os.open(work, os.O_RDONLY)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await worst_delays("hash", asyncio.to_thread(hash_for, 3))
    await worst_delays("collect", collect_aside(fd, blobs, Limits(artifact_count=2 * files)))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"memory grew by {grown / 1024:.0f} MiB")
    await worst_delays("remove", asyncio.to_thread(remove_tree, work))
    os.close(fd)


if __name__ == "__main__":
    main()
