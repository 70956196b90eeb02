"""The imitation as a process: prints `{"url": …}` when it is ready, and serves until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from pathlib import Path

import msgspec

from tests.support.gemini.quota import Quota
from tests.support.gemini.requests import Request
from tests.support.gemini.script import script_from_file
from tests.support.gemini.server import GeminiImitation


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.support.gemini", description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="a JSON list of rules, see script.FileRule")
    parser.add_argument("--key", default="test-key", help="the one API key that is taken")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--requests-per-minute", type=int, help="enforce a quota for each model")
    parser.add_argument("--requests-per-day", type=int, help="with --requests-per-minute")
    parser.add_argument("--record", type=Path, help="append each request to this file, as a JSON line")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    limit = arguments.requests_per_minute
    quota = Quota(limit, arguments.requests_per_day, time=time.time) if limit is not None else None
    script = script_from_file(arguments.script)
    gemini = GeminiImitation(script, api_key=arguments.key, quota=quota, port=arguments.port)
    if arguments.record is not None:
        gemini.on_request(lambda request: _append(arguments.record, request))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with gemini:
        print(json.dumps({"url": gemini.url}), flush=True)
        await stop.wait()


def _append(path: Path, request: Request) -> None:
    with path.open("ab") as file:
        file.write(msgspec.json.encode(request) + b"\n")


if __name__ == "__main__":
    asyncio.run(_serve(_arguments()))
