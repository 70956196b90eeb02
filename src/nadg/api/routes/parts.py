"""What each route is given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from nadg.api.service import MasterParts
from nadg.domain.errors import StoreUnavailable

Found = TypeVar("Found")

PATIENCE_SECONDS = 10.0
"""How long a request waits for the database; the master itself waits as long as it takes."""
TROUBLED_SECONDS = 2.0
"""The same where the master knows of trouble; not at once, since a database that takes no writes may be read."""
LOOK_SECONDS = 1.0
"""How often it is asked whether the master has come to know it."""


def _parts(request: Request) -> MasterParts:
    parts: MasterParts = request.app.state.parts
    return parts


Parts = Annotated[MasterParts, Depends(_parts)]


async def looked_up(asking: Awaitable[Found], parts: MasterParts) -> Found:
    """What the store says, asked for what is harmless to ask for twice.

    Raises StoreUnavailable where it says nothing for long; sooner where it is known why.
    """
    loop = asyncio.get_running_loop()
    looking: asyncio.TimerHandle
    try:
        async with asyncio.timeout(PATIENCE_SECONDS) as limit:

            def look() -> None:
                nonlocal looking
                if parts.service.health().database.reachable:
                    looking = loop.call_later(LOOK_SECONDS, look)
                else:
                    limit.reschedule(loop.time())

            looking = loop.call_later(TROUBLED_SECONDS, look)
            try:
                return await asking
            finally:
                looking.cancel()
    except TimeoutError:
        reason = parts.service.health().database.reason or f"no answer for {PATIENCE_SECONDS:g} s"
        raise StoreUnavailable(f"the master waits for its database ({reason})") from None
