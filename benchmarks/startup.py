"""How long from `nadg up` to its ready line? The limit is 3 seconds.

Peer in the same run: importing FastAPI and uvicorn in a cold interpreter, which any such service pays.

    python benchmarks/startup.py [--rounds 5] [--workers 2]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time

from environment import print_environment, spread

LIMIT_SECONDS = 3.0


def time_up(workers: int) -> float:
    """Seconds from the start of the process to its `ready` line."""
    with tempfile.TemporaryDirectory() as home:
        started = time.perf_counter()
        command = [sys.executable, "-m", "nadg", "up", "--workers", str(workers)]
        environment = {**os.environ, "NADG_HOME": home, "NADG_MASTER_PORT": "0"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("ready"):
                    break
            seconds = time.perf_counter() - started
            process.send_signal(signal.SIGINT)
        if process.returncode not in (0, 130):
            raise SystemExit(f"nadg up ended with {process.returncode}")
        return seconds


def time_import() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import fastapi, uvicorn"], check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print_environment("fastapi", "uvicorn", "sqlalchemy")
    ups = [time_up(options.workers) for _ in range(options.rounds)]
    imports = [time_import() for _ in range(options.rounds)]
    print(f"nadg up to ready:        {spread(ups, 's')}")
    print(f"import fastapi, uvicorn: {spread(imports, 's')}")
    middle = sorted(ups)[len(ups) // 2]
    print(f"ratio to the limit of {LIMIT_SECONDS:g} s: {middle / LIMIT_SECONDS:.2f}")


if __name__ == "__main__":
    main()
