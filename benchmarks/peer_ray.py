"""Ray as a peer: tasks a second where every task has a process of its own (`max_calls=1`).

Prints one figure per round.

    python benchmarks/peer_ray.py COUNT ROUNDS PROCESSES
"""

from __future__ import annotations

import sys
import time

import ray


def nothing() -> int:
    return 1


def main() -> None:
    count, rounds, processes = map(int, sys.argv[1:])
    ray.init(num_cpus=processes, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    task = ray.remote(max_calls=1)(nothing)
    ray.get([task.remote() for _ in range(2 * processes)])
    for _ in range(rounds):
        started = time.perf_counter()
        ray.get([task.remote() for _ in range(count)])
        print(count / (time.perf_counter() - started), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
