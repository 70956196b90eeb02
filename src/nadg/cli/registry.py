"""What `nadg workers` does."""

from __future__ import annotations

import datetime
import getpass
import re
import socket

import msgspec

from nadg.cli.configuration import read_settings
from nadg.cli.console import create_console
from nadg.cli.records import open_records
from nadg.cli.render.safe import one_line
from nadg.cli.render.tables import worker_lines
from nadg.cli.render.workers import workers_list
from nadg.domain.errors import UserError
from nadg.domain.worker import SET_BY_HAND, WorkerStatus

NAME = re.compile(r"[\w.-]{1,40}", re.ASCII)
"""What a person may call a worker."""


async def list_workers(as_json: bool) -> None:
    """The registry, oldest first."""
    async with open_records(read_settings()) as records:
        workers = await records.workers()
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(workers), indent=2).decode())
    elif workers:
        create_console().print(workers_list(workers, datetime.datetime.now(datetime.UTC)))
    else:
        print("No workers are registered. `nadg up` starts some here; `nadg workers add URL` adds one elsewhere.")


async def add_worker(url: str, name: str) -> None:
    """Register a worker by its URL. Raises UserError where the name is none to type again."""
    from nadg.bootstrap.records import open_store_only
    from nadg.bootstrap.workers import checked_worker_url

    address = checked_worker_url(url)
    if name and not NAME.fullmatch(name):
        raise UserError(f"--name {one_line(name, 60)!r}: use 1 to 40 letters, digits, '.', '_' or '-'")
    async with open_store_only(read_settings(), adds=True) as store:
        node = await store.workers.add(address, name)
    print(f"Registered {one_line(node.vm_url, 200)} as {node.id}. Try it: nadg workers test {node.vm_url}")


async def remove_worker(key: str) -> None:
    """Forget a worker."""
    from nadg.bootstrap.records import open_store_only

    async with open_store_only(read_settings()) as store:
        node = await store.workers.get(key)
        await store.workers.remove(node.id)
    print(f"Removed {one_line(node.vm_url, 200)}.")


async def set_worker_status(key: str, status: WorkerStatus, why: str = "") -> None:
    """Set a worker's status by hand. Raises UserError for one that only masters find."""
    if status in (WorkerStatus.BUSY, WorkerStatus.QUARANTINED):
        raise UserError(f"{status} is what masters find; set active, draining or offline")
    await _set(key, status, why)


async def undrain_worker(key: str) -> None:
    """Let masters use a worker again that a person took out of use."""
    await _set(key, WorkerStatus.ACTIVE, "")


async def _set(key: str, status: WorkerStatus, why: str) -> None:
    from nadg.bootstrap.records import open_store_only

    async with open_store_only(read_settings()) as store:
        node = await store.workers.get(key)
        taken_out = status is not WorkerStatus.ACTIVE
        await store.workers.set_status(node.id, status, _signed(why) if taken_out else "")
    told = "; masters give it nothing new, and what runs there goes on" if taken_out else ""
    print(f"{one_line(node.vm_url, 200)} is now {status}{told}.")


def _signed(why: str) -> str:
    """Who said it, and why: whoever finds the worker out of use wants to know whom to ask."""
    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        who = "somebody"
    return f"{SET_BY_HAND} by {who} at {socket.gethostname()}" + (f": {one_line(why, 200)}" if why else "")


async def test_worker(url: str) -> None:
    """Open a link and show the worker's hello."""
    from nadg.bootstrap import workers

    info = await workers.test_worker(read_settings(), url)
    print("\n".join([f"{one_line(url, 200)} answers:", *worker_lines(info)]))
