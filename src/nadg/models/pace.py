"""How fast one model may be asked: as the user says, as its provider says, or as its refusals suggest.

A refusal that names no limit halves the pace; successes raise it by a few requests a minute each minute
(additive increase, multiplicative decrease, as TCP does).
"""

from __future__ import annotations

import math

from nadg.models.call import RateLimited
from nadg.models.limits import RateLimits

LONGEST_BACKOFF_SECONDS = 60.0
GUESS_HOLDS_SECONDS = 300.0
LOWEST_GUESS = 5
"""Requests a minute; the back-off slows down further where even that is too fast."""
RAISED_EACH_MINUTE = 6.0


class Pace:
    """Limits a minute, and until when nothing may be sent at all."""

    def __init__(self, given: RateLimits) -> None:
        self._given = given
        self._named_requests: int | None = None
        self._named_tokens: int | None = None
        self._guess: float | None = None
        self._guess_ends = -math.inf
        self._backoff_seconds = 1.0
        self._last_refusal = -math.inf
        self.closed_until = -math.inf

    def requests_limit(self, now: float) -> int | None:
        """Requests a minute; the strictest that is known."""
        if now >= self._guess_ends:
            self._guess = None
        guess = None if self._guess is None else int(self._guess)
        return _strictest(self._given.requests_per_minute, self._named_requests, guess)

    def tokens_limit(self) -> int | None:
        """Tokens a minute; the strictest that is known."""
        return _strictest(self._given.tokens_per_minute, self._named_tokens)

    def refused(self, error: RateLimited, now: float, sent: int) -> None:
        """Learn from a refusal, when `sent` requests of the last minute count, the refused one included.

        Refusals that come while the window is closed were sent before it closed: they add no back-off.
        """
        self._last_refusal = now
        if error.limit is not None and error.limit > 0:
            self._name(error.limit, error.counts)
        else:
            self._guess_from(sent - 1, now, told_when=bool(error.retry_after))
        if error.retry_after is not None and error.retry_after > 0:
            self.closed_until = max(self.closed_until, now + error.retry_after)
        elif now >= self.closed_until:
            self.closed_until = now + self._backoff_seconds
            self._backoff_seconds = min(LONGEST_BACKOFF_SECONDS, 2 * self._backoff_seconds)

    def succeeded(self, sent_at: float) -> None:
        """A request was answered; those sent before the last refusal prove nothing."""
        if sent_at <= self._last_refusal:
            return
        self._backoff_seconds = 1.0
        if self._guess is not None:
            self._guess += RAISED_EACH_MINUTE / self._guess

    def _name(self, limit: int, counts: str) -> None:
        if counts == "tokens":
            self._named_tokens = limit
        else:
            self._named_requests = limit

    def _guess_from(self, accepted: int, now: float, *, told_when: bool) -> None:
        """Who says when to come again lets in as many as before; who does not, perhaps half of them."""
        seen = accepted if told_when else accepted // 2
        self._guess = float(max(LOWEST_GUESS, seen))
        self._guess_ends = now + GUESS_HOLDS_SECONDS


def _strictest(*limits: int | None) -> int | None:
    return min((max(1, limit) for limit in limits if limit is not None), default=None)
