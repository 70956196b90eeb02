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


def _parts(request: Request) -> MasterParts:
    parts: MasterParts = request.app.state.parts
    return parts


Parts = Annotated[MasterParts, Depends(_parts)]


async def looked_up(asking: Awaitable[Found]) -> Found:
    """What the store says, asked for what is harmless to ask for twice.

    Raises StoreUnavailable where it says nothing for long.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asking
    except TimeoutError:
        raise StoreUnavailable("the database does not answer; the master waits for it, see GET /health") from None
