"""What `nadg workers` does."""

from __future__ import annotations

import msgspec

from nadg.cli.configuration import read_settings
from nadg.cli.console import create_console, print_table
from nadg.cli.render.safe import one_line
from nadg.cli.render.tables import worker_lines, workers_table
from nadg.domain.worker import WorkerStatus


async def list_workers(as_json: bool) -> None:
    """The registry, oldest first."""
    from nadg.bootstrap.records import open_store_only

    async with open_store_only(read_settings()) as store:
        workers = await store.workers.list()
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(workers), indent=2).decode())
    elif workers:
        print_table(create_console(), workers_table(workers))
    else:
        print("No workers are registered. `nadg up` starts some here; `nadg workers add URL` adds one elsewhere.")


async def add_worker(url: str, name: str) -> None:
    """Register a worker by its URL."""
    from nadg.bootstrap.records import open_store_only
    from nadg.bootstrap.workers import checked_worker_url

    address = checked_worker_url(url)
    async with open_store_only(read_settings()) as store:
        node = await store.workers.add(address, name)
    print(f"Registered {one_line(node.vm_url, 200)} as {node.id}. Try it: nadg workers test {node.vm_url}")


async def remove_worker(key: str) -> None:
    """Forget a worker."""
    from nadg.bootstrap.records import open_store_only

    async with open_store_only(read_settings()) as store:
        node = await store.workers.get(key)
        await store.workers.remove(node.id)
    print(f"Removed {one_line(node.vm_url, 200)}.")


async def set_worker_status(key: str, status: WorkerStatus) -> None:
    """Set a worker's status by hand."""
    from nadg.bootstrap.records import open_store_only
    from nadg.domain.worker import SET_BY_HAND

    async with open_store_only(read_settings()) as store:
        node = await store.workers.get(key)
        await store.workers.set_status(node.id, status, SET_BY_HAND if status is WorkerStatus.OFFLINE else "")
    print(f"{one_line(node.vm_url, 200)} is now {status}.")


async def test_worker(url: str) -> None:
    """Open a link and show the worker's hello."""
    from nadg.bootstrap import workers

    info = await workers.test_worker(read_settings(), url)
    print("\n".join([f"{one_line(url, 200)} answers:", *worker_lines(info)]))
