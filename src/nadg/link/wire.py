"""What a session needs of a WebSocket, whichever library and whichever side of it."""

from __future__ import annotations

from typing import Protocol


class Wire(Protocol):
    """Carries whole binary messages in order."""

    async def send(self, message: bytes) -> None:
        """Returns when the message is on its way. Raises LinkLost."""
        ...

    async def receive(self) -> bytes:
        """The next message. Raises LinkLost when there will be none, LinkRefused when it is no binary one."""
        ...

    async def close(self, reason: str) -> None:
        """Close at once, telling the other end where that is possible. Harmless when closed; never raises."""
        ...
