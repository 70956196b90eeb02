"""Celery as a peer: tasks a second of a worker whose processes are replaced after every task.

Prefork pool, `--max-tasks-per-child 1`; broker and results in SQLite files, since the filesystem broker may
read a message that is still being written, and then stops. Prints one figure per round.

    python benchmarks/peer_celery.py COUNT ROUNDS PROCESSES
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import Celery
from kombu.transport.sqlalchemy import Transport


def nothing() -> int:
    return 1


def create_app(folder: Path) -> Celery:
    """The same app in the worker and here, around two databases that both know."""
    Transport.polling_interval = 0.005  # seconds; by default it looks once a second
    app = Celery("peer", broker=f"sqla+sqlite:///{folder}/queue.db", backend=f"db+sqlite:///{folder}/results.db")
    app.conf.update(
        worker_prefetch_multiplier=16,
        database_create_tables_at_setup=True,
    )
    app.task(name="nothing")(nothing)
    return app


def round_rate(app: Celery, count: int) -> float:
    """Tasks a second, from the first sent to the last result."""
    started = time.perf_counter()
    sent = [app.send_task("nothing") for _ in range(count)]
    for result in sent:
        assert result.get(timeout=300, interval=0.005) == 1
    return count / (time.perf_counter() - started)


def main() -> None:
    count, rounds, processes = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Path(folder))
        command = [sys.executable, __file__, "serve", folder, str(processes)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
            round_rate(app, 4 * processes)
            for _ in range(rounds):
                print(round_rate(app, count), flush=True)
            worker.terminate()
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()


def serve(folder: Path, processes: int) -> None:
    os.chdir(folder)
    options = ["--pool", "prefork", "--concurrency", str(processes), "--max-tasks-per-child", "1"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    create_app(folder).worker_main(["worker", *options, *quiet])


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
