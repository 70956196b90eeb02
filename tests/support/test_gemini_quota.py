"""The imitation's rate windows: they close and open when they say, and they know who does not listen."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gemini import GeminiImitation, Quota, RateLimit, Say, by_rule, run_in_thread
from tests.support.gemini.quota import next_midnight_pacific

LITE, FLASH = "gemini-3.5-flash-lite", "gemini-3.8-flash"
NOON = 1_795_636_800.0  # 2026-11-25, 20:00 UTC, which is noon Pacific


class Clock:
    """A clock that is set by hand, in seconds since the epoch."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_sliding_window_opens_when_its_oldest_request_is_a_minute_old() -> None:
    clock = Clock()
    quota = Quota(2, time=clock)
    assert quota.refusal(LITE) is None
    clock.now += 10.5
    assert quota.refusal(LITE) is None
    assert quota.refusal(LITE) == RateLimit(per="minute", retry_seconds=50, limit=2)
    clock.now = NOON + 60
    assert quota.refusal(LITE) is None
    assert quota.refusal(LITE) == RateLimit(per="minute", retry_seconds=11, limit=2)


def test_a_fixed_window_opens_on_the_full_minute() -> None:
    clock = Clock(NOON + 59.5)
    quota = Quota(1, window="fixed", time=clock)
    assert quota.refusal(LITE) is None
    assert quota.refusal(LITE) == RateLimit(per="minute", retry_seconds=1, limit=1)
    clock.now += 0.5
    assert quota.refusal(LITE) is None


def test_each_model_has_windows_of_its_own() -> None:
    quota = Quota(1, time=Clock())
    assert quota.refusal(LITE) is None
    assert quota.refusal(FLASH) is None
    assert quota.refusal(LITE) is not None


def test_a_full_day_lasts_until_midnight_pacific() -> None:
    clock = Clock()
    quota = Quota(10, requests_per_day=2, time=clock)
    assert [quota.refusal(LITE) for _ in range(2)] == [None, None]
    full = RateLimit(per="day", retry_seconds=None, limit=2)
    clock.now = NOON + 12 * 3600 - 1
    assert quota.refusal(LITE) == full
    clock.now += 1
    assert quota.refusal(LITE) is None


def test_midnight_pacific_knows_summer_time() -> None:
    before_spring = 1_773_000_000.0  # 2026-03-08, 20:00 UTC: the clocks went forward that morning
    assert (next_midnight_pacific(before_spring) - before_spring) / 3600 == 11
    assert (next_midnight_pacific(NOON) - NOON) / 3600 == 12


def test_requests_into_a_window_known_closed_are_counted() -> None:
    clock = Clock()
    quota = Quota(1, time=clock)
    quota.refusal(LITE)
    quota.refusal(LITE)
    assert (quota.accepted, quota.refused, quota.sent_while_closed) == (1, 1, 0)
    clock.now += 59
    quota.refusal(LITE)
    assert (quota.accepted, quota.refused, quota.sent_while_closed) == (1, 2, 1)
    clock.now += 1
    quota.refusal(LITE)
    assert (quota.accepted, quota.refused, quota.sent_while_closed) == (2, 2, 1)


@given(gaps=st.lists(st.floats(0, 90), max_size=60), limit=st.integers(1, 5), is_sliding=st.booleans())
def test_who_waits_as_told_is_let_in_and_no_window_holds_more_than_its_limit(
    gaps: list[float], limit: int, is_sliding: bool
) -> None:
    clock = Clock()
    quota = Quota(limit, window="sliding" if is_sliding else "fixed", time=clock)
    taken: list[float] = []
    for gap in gaps:
        clock.now += gap
        refusal = quota.refusal(LITE)
        if refusal is not None:
            assert refusal.retry_seconds is not None
            clock.now += refusal.retry_seconds
            assert quota.refusal(LITE) is None
        taken.append(clock.now)
    assert quota.sent_while_closed == 0
    in_window: Callable[[float, float], bool] = (
        (lambda first, other: first <= other < first + 60)
        if is_sliding
        else (lambda first, other: first // 60 == other // 60)
    )
    assert all(sum(in_window(first, other) for other in taken) <= limit for first in taken)


@pytest.mark.parametrize(("requests_per_day", "quota_id", "details"), [(None, "PerMinute", 2), (1, "PerDay", 1)])
def test_a_quota_answers_429_before_the_script(requests_per_day: int | None, quota_id: str, details: int) -> None:
    quota = Quota(1, requests_per_day, time=Clock(NOON))
    with run_in_thread(GeminiImitation(by_rule([("", Say("yes"))]), quota=quota)) as gemini:
        url = f"{gemini.url}/v1/models/{LITE}:generateContent?key=test-key"
        body = {"contents": [{"parts": [{"text": "hello"}]}]}
        first, second = (httpx.post(url, json=body) for _ in range(2))
    assert (first.status_code, second.status_code, len(gemini.requests)) == (200, 429, 1)
    error = second.json()["error"]
    assert len(error["details"]) == details
    violation = error["details"][0]["violations"][0]
    assert violation["quotaId"] == f"GenerateRequests{quota_id}PerProjectPerModel-FreeTier"
    assert violation["quotaValue"] == "1"
    if details > 1:
        assert error["details"][1]["retryDelay"] == "60s"
