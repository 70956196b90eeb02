"""Everything is killed, paused and cut while a run goes on; then it is looked at whether anything was lost.

python -m tests.chaos                 1,000 shards on PostgreSQL with two masters, then on SQLite with one
python -m tests.chaos --short         200 shards each; what CI runs
python -m tests.chaos --seed 7 --database postgresql
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time

from tests.chaos.trial import Report, Trial, carry_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--database", choices=["postgresql", "sqlite", "both"], default="both")
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=150.0, help="how long the chaos goes on at most")
    parser.add_argument("--short", action="store_true", help="200 shards, at most 40 s of chaos each")
    options = parser.parse_args()
    shards, seconds = (200, 40.0) if options.short else (options.shards, options.seconds)
    databases = ["postgresql", "sqlite"] if options.database == "both" else [options.database]
    failed = False
    for database in databases:
        masters = 2 if database == "postgresql" else 1
        trial = Trial(seed=options.seed, database=database, shards=shards, masters=masters, chaos_seconds=seconds)
        failed = not tried(trial) or failed
    sys.exit(failed)


def tried(trial: Trial) -> bool:
    """Whether all held. Everything is told on standard output."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    size = f"{trial.shards} shards, {trial.masters} masters, {trial.workers} workers"
    say(f"{trial.database}: {size}, seed {trial.seed}")
    report = asyncio.run(carry_out(trial, say))
    for line in lines_of(report):
        say(line)
    return not report.faults


def lines_of(report: Report) -> list[str]:
    acts = ", ".join(f"{count} x {what}" for what, count in sorted(report.acts.items()))
    verdict = [f"FAULT: {fault}" for fault in report.faults[:30]] or ["nothing was lost, nothing was done twice"]
    counts = f"{report.seconds:.0f} s, {report.terms} owners one after another, {report.attempts} attempts"
    return [f"done to it: {acts}", counts, *verdict]


if __name__ == "__main__":
    main()
