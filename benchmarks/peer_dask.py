"""Dask as a peer: tasks a second of a local cluster whose every task runs `python -c pass` as its own process.

Prints one figure per round.

    python benchmarks/peer_dask.py COUNT ROUNDS PROCESSES
"""

from __future__ import annotations

import subprocess
import sys
import time

from distributed import Client, LocalCluster


def nothing(_: int) -> int:
    return subprocess.run([sys.executable, "-c", "pass"], check=True).returncode


def main() -> None:
    count, rounds, processes = map(int, sys.argv[1:])
    with (
        LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(nothing, range(2 * processes), pure=False))
        for _ in range(rounds):
            started = time.perf_counter()
            client.gather(client.map(nothing, range(count), pure=False))
            print(count / (time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    main()
