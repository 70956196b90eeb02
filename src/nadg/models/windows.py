"""The requests of the last minute, and when they leave room for one more."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 60.0
MARGIN_SECONDS = 1.0
"""A request reaches the provider a little after it was counted here; the one a minute later may be faster."""
_SPAN = WINDOW_SECONDS + MARGIN_SECONDS


class Sent:
    """One request that was let go."""

    __slots__ = ("at", "counted", "tokens")

    def __init__(self, at: float, tokens: int) -> None:
        self.at, self.tokens = at, tokens
        self.counted = True


class MinuteWindow:
    """A sliding minute: whoever keeps to it overruns neither a sliding nor a fixed minute of the provider.

    Times are seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self._sent: deque[Sent] = deque()
        self._tokens = 0

    def count(self, now: float) -> int:
        """Requests of the minute before `now`."""
        self._forget(now)
        return len(self._sent)

    def add(self, now: float, tokens: int) -> Sent:
        sent = Sent(now, tokens)
        self._sent.append(sent)
        self._tokens += tokens
        return sent

    def correct(self, sent: Sent, tokens: int) -> None:
        """It took so many tokens in truth."""
        if sent.counted:
            self._tokens += tokens - sent.tokens
        sent.tokens = tokens

    def take_back(self, sent: Sent) -> None:
        """It was not sent after all."""
        if sent.counted:
            self._sent.remove(sent)
            self._drop(sent)

    def opens_at(self, now: float, tokens: int, requests_limit: int | None, tokens_limit: int | None) -> float:
        """When a request of so many tokens may go; `now` or earlier where it may at once.

        One of more tokens than the limit goes alone.
        """
        self._forget(now)
        by_requests = self._requests_open_at(now, requests_limit)
        return max(by_requests, self._tokens_open_at(now, tokens, tokens_limit))

    def queue_seconds(self, now: float, ahead: int, requests_limit: int | None) -> float:
        """How long the limit of requests holds up one that `ahead` others go before; an estimate."""
        if requests_limit is None:
            return 0.0
        over = self.count(now) + ahead + 1 - requests_limit
        if over <= 0:
            return 0.0
        minutes, place = divmod(over - 1, requests_limit)
        leaves = self._sent[place].at + _SPAN - now if place < len(self._sent) else _SPAN
        return leaves + minutes * _SPAN

    def _requests_open_at(self, now: float, limit: int | None) -> float:
        if limit is None or len(self._sent) < limit:
            return now
        return self._sent[len(self._sent) - limit].at + _SPAN

    def _tokens_open_at(self, now: float, tokens: int, limit: int | None) -> float:
        if limit is None or self._tokens + tokens <= limit:
            return now
        left, opens = self._tokens, now
        for sent in self._sent:
            left -= sent.tokens
            opens = sent.at + _SPAN
            if left + tokens <= limit:
                break
        return opens

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0].at + _SPAN <= now:
            self._drop(self._sent.popleft())

    def _drop(self, sent: Sent) -> None:
        self._tokens -= sent.tokens
        sent.counted = False
