"""Notices to the user, each once: many calls of a run wait for the same window."""

from __future__ import annotations

import datetime

from nadg.domain.clock import Clock
from nadg.models.call import Account
from nadg.models.sentences import until_minute

SHORTEST_WAIT_SECONDS = 2.0
"""Shorter waits are the pace of the work, not worth a word."""
_MEMORY = 1000


class Telling:
    """Remembers what each run was told; the oldest is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str], datetime.datetime] = {}

    def once(self, account: Account, text: str) -> None:
        """Say it unless this run was told the same before."""
        if (account.run_id, text) not in self._told:
            self._remember((account.run_id, text), self._clock.now())
            account.notice(text)

    def wait(self, account: Account, model: str, seconds: float) -> None:
        """Say that a request waits so long, unless this run waits for that model as long already."""
        now = self._clock.now()
        until = now + datetime.timedelta(seconds=seconds)
        told = self._told.get((account.run_id, model), now)
        if seconds >= SHORTEST_WAIT_SECONDS and (until - told).total_seconds() >= SHORTEST_WAIT_SECONDS:
            self._remember((account.run_id, model), until)
            account.notice(f"{model} allows no request before {until_minute(until)}; waiting {seconds:.0f} s")

    def _remember(self, key: tuple[str, str], moment: datetime.datetime) -> None:
        self._told[key] = moment
        if len(self._told) > _MEMORY:
            del self._told[next(iter(self._told))]
