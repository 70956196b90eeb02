"""How the local workers of this process are started, and where they keep their things."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import msgspec
import psutil

from nadg.bootstrap.home import Home
from nadg.domain.named_limits import changed_limits
from nadg.engines.local import Launch
from nadg.sandbox import Policy
from nadg.sandbox.policy import GENEROUS
from nadg.settings import Settings
from nadg.worker.folder import is_in_use
from nadg.worker.settings import WorkerSettings

ARGV = (sys.executable, "-m", "nadg.worker")


def create_launches(settings: Settings, home: Home, count: int) -> list[Launch]:
    """One worker of one slot each: as many processes as the machine has cores, by default."""
    remove_leftovers(home.workers)
    token = home.worker_token()
    return [_launch(settings, home, token, number) for number in range(1, count + 1)]


def _launch(settings: Settings, home: Home, token: str, number: int) -> Launch:
    worker = WorkerSettings(
        name=f"local-{os.getpid()}-{number}",
        root=str(own_folder(home.workers, number)),
        port=0,
        token=token,
        policy=Policy(allow_none=settings.allow_unsafe_none, caps=changed_limits(GENEROUS, settings.limit_caps)),
        grace_seconds=2 * max(settings.grace_seconds, settings.lease_seconds),
    )
    log = home.logs / f"worker-{number}.log"
    return Launch(argv=ARGV, settings=msgspec.json.encode(worker), token=token, log=log)


def master_lives(name: str) -> bool:
    """Whether the process goes on that started the local worker of this name, if that is to be seen from here."""
    process_id = name.removeprefix("local-").partition("-")[0]
    return not process_id.isdigit() or psutil.pid_exists(int(process_id))


def own_folder(workers: Path, number: int) -> Path:
    """The folder of one local worker; its name tells which process it belongs to."""
    return workers / f"{os.getpid()}-{number}"


def remove_own_folders(workers: Path) -> None:
    """Remove what the local workers of this process left behind."""
    for folder in workers.glob(f"{os.getpid()}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(workers: Path) -> None:
    """Remove the folders of masters that were killed, but for those whose workers wait for another master."""
    for folder in workers.iterdir():
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)) and not is_in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)
