"""Patience with a database in trouble: what failed for a cause that passes is tried again, ever more seldom.

Nothing here knows a database. Whoever tries says with `Passing` that the same may work later; every other
error ends the tries at once. All of it runs on the event loop, so nothing needs a lock.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
import random
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

from nadg.domain.clock import Clock
from nadg.domain.errors import NadgError, StoreUnavailable
from nadg.store.api import OnTrouble, StoreTrouble

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0

QUIET_SECONDS = 1.0
"""Trouble that is over within so long is not told: a connection that had to be opened anew is no news."""

Kind = Literal["read", "write"]
"""They fail apart: a full disk is still read from, and a standby takes no writes."""

Wait = Callable[[float], Awaitable[object]]
"""Lets so many seconds pass, and may be cancelled."""

T = TypeVar("T")


class Passing(Exception):
    """A try failed for a cause that may pass by itself."""

    def __init__(self, reason: str, final: NadgError) -> None:
        super().__init__(reason)
        self.reason = reason
        """Why, for people, without secrets."""
        self.final = final
        """What to raise where nobody waits any longer."""


class Patience:
    """How long operations are tried again, and what is known of the trouble at hand."""

    def __init__(
        self,
        seconds: float | None,
        clock: Clock,
        on_trouble: OnTrouble,
        *,
        wait: Wait = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`seconds`: None for ever, 0 to try once. `chance` gives numbers from 0 to 1, so that several masters
        do not all come back at the same moment."""
        self._seconds, self._clock, self._wait, self._chance = seconds, clock, wait, chance
        self._troubles = _Troubles(on_trouble)

    @property
    def trouble(self) -> StoreTrouble | None:
        """What keeps the database from answering, None where it answers."""
        return self._troubles.told

    @property
    def is_none(self) -> bool:
        """Whether everything is tried once only."""
        return self._seconds == 0

    async def last(self, kind: Kind, attempt: Callable[[], Awaitable[T]], at_most: float | None = None) -> T:
        """What the first attempt gives that does not fail with Passing; whoever cancels this is let go at once.

        Raises the last Passing's `final` where patience ends first, or after `at_most` seconds.
        """
        begun, begun_at = self._clock.monotonic(), self._clock.now()
        for tries in itertools.count(1):
            try:
                result = await attempt()
            except Passing as failed:
                lasted = self._clock.monotonic() - begun
                self._troubles.failed(
                    kind, StoreTrouble(since=begun_at, reason=failed.reason, tries=tries), lasted
                )
                left = min(end for end in (self._seconds, at_most, math.inf) if end is not None) - lasted
                if left <= 0:
                    raise failed.final from failed.__cause__
                await self._wait(min(self._pause(tries), left))
            except StoreUnavailable:
                raise
            except NadgError:  # the database answered, though not as the caller wished
                self._troubles.answered(kind)
                raise
            else:
                self._troubles.answered(kind)
                return result
        raise AssertionError("unreachable")

    def _pause(self, tries: int) -> float:
        whole = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(tries - 1, 10))
        return whole * (1 + self._chance()) / 2


@dataclasses.dataclass(slots=True)
class _Troubles:
    """What fails at present, by kind, and what of it was told last."""

    _on_trouble: OnTrouble
    _failing: dict[Kind, StoreTrouble] = dataclasses.field(default_factory=dict)
    told: StoreTrouble | None = None

    def failed(self, kind: Kind, trouble: StoreTrouble, lasted_seconds: float) -> None:
        """One more try in vain, of an operation that has been tried for so long."""
        before = self._failing.get(kind)
        since = trouble.since if before is None else min(before.since, trouble.since)
        self._failing[kind] = StoreTrouble(since=since, reason=trouble.reason, tries=trouble.tries)
        if self.told is not None or lasted_seconds >= QUIET_SECONDS:
            self._tell()

    def answered(self, kind: Kind) -> None:
        if self._failing and self._failing.pop(kind, None) is not None and self.told is not None:
            self._tell()

    def _tell(self) -> None:
        worst = self._failing.get("write") or self._failing.get("read")
        if worst is not None:
            since = min(one.since for one in self._failing.values())
            worst = msgspec.structs.replace(worst, since=since)
        before, self.told = self.told, worst
        if (before and before.reason) != (worst and worst.reason):
            self._on_trouble(worst)
