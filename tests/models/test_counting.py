"""Prices, estimates of tokens, the cache's keys, and notices that are said once."""

from __future__ import annotations

import asyncio
import datetime

import pytest

from nadg.models.cache_key import cache_key
from nadg.models.call import Turn
from nadg.models.configuration import ModelSettings
from nadg.models.estimate import estimate_input, estimate_tokens
from nadg.models.prices import FREE, cost, price_list, price_of
from nadg.models.settling import unbroken
from nadg.models.telling import Telling
from tests.models.clients import SCHEMA, call_of
from tests.models.doors import LITE, JumpingClock, NotingAccount

AT = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)


def test_a_known_price() -> None:
    price = price_of(LITE, AT)
    assert price is not None
    assert 0 < price.input_usd_per_token < price.output_usd_per_token < 1e-4
    paid = cost(LITE, input_tokens=1000, output_tokens=500, at=AT)
    assert paid == pytest.approx(1000 * price.input_usd_per_token + 500 * price.output_usd_per_token)


def test_of_tiered_prices_the_highest_is_the_bound() -> None:
    model = "google:gemini-2.5-pro"
    price = price_of(model, AT)
    assert price is not None
    little = cost(model, input_tokens=1000, output_tokens=1000, at=AT)
    much = cost(model, input_tokens=500_000, output_tokens=1000, at=AT)
    assert little is not None
    assert much is not None
    assert little < 1000 * (price.input_usd_per_token + price.output_usd_per_token)
    assert much == pytest.approx(500_000 * price.input_usd_per_token + 1000 * price.output_usd_per_token)


@pytest.mark.parametrize("model", ["google:gemini-99", "openai:", "no model", "x:y"])
def test_an_unknown_price_is_not_guessed(model: str) -> None:
    assert price_of(model, AT) is None
    assert cost(model, input_tokens=1, output_tokens=1, at=AT) is None


def test_what_another_server_takes_is_not_known_and_this_machine_takes_nothing() -> None:
    near = price_list(ModelSettings(openai_base_url="http://127.0.0.1:8080/v1"))
    far = price_list(ModelSettings(openai_base_url="http://192.168.1.7:8080/v1"))
    own = price_list(ModelSettings())
    assert near.price_of("openai:gpt-5") == FREE
    assert near.cost("openai:gpt-5", input_tokens=9, output_tokens=9) == 0.0
    assert far.price_of("openai:gpt-5") is None
    assert far.cost("openai:gpt-5", input_tokens=9, output_tokens=9) is None
    assert own.price_of("openai:gpt-5") == price_of("openai:gpt-5")
    assert far.price_of(LITE, AT) == near.price_of(LITE, AT) == price_of(LITE, AT)


@pytest.mark.parametrize(
    ("text", "real"),
    [
        ("", 0),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ('{"name": "Ada", "age": 36, "tags": ["a", "b"]}', 22),
        ("def f(x):\n    return x ** 2 + 1\n", 16),
        ("1,2,3\n4,5,6\n", 12),
        ("1234567890 3.14159", 18),
        ("日本語のテキストです。", 5),
        ("Größe, Übung, naïve Café", 9),
        ("👩‍👩‍👧‍👦", 7),
    ],
    ids=["none", "english", "json", "code", "csv", "numbers", "japanese", "german", "emoji"],
)
def test_the_estimate_is_rather_too_many_than_too_few(text: str, real: int) -> None:
    """`real` was counted by the tokenizer of Gemma 3."""
    assert real <= estimate_tokens(text) <= max(4 * real, 4)


def test_everything_that_is_sent_counts() -> None:
    bare = estimate_input(call_of())
    assert estimate_input(call_of(instructions="x" * 300)) == bare + 90
    assert estimate_input(call_of(output_schema=SCHEMA)) > bare + 20
    assert estimate_input(call_of(turns=(Turn(role="user", text="a question"),) * 2)) > bare


def test_the_key_holds_everything_that_the_answer_depends_on() -> None:
    call = call_of(instructions="i", output_schema={"b": 1, "a": 2})
    keys = {
        cache_key(LITE, call),
        cache_key("google:other", call),
        cache_key(LITE, call, run_id="r1"),
        cache_key(LITE, call_of(instructions="j", output_schema={"b": 1, "a": 2})),
        cache_key(LITE, call_of(instructions="i")),
        cache_key(LITE, call_of(instructions="i", output_schema={"b": 1, "a": 3})),
        cache_key(LITE, call_of("other", instructions="i", output_schema={"b": 1, "a": 2})),
        cache_key(LITE, call_of(instructions="i", output_schema={"b": 1, "a": 2}, max_output_tokens=1)),
    }
    assert len(keys) == 8
    same = call_of(instructions="i", output_schema={"a": 2, "b": 1}, purpose="answer", subtask_id="s")
    assert cache_key(LITE, same) == cache_key(LITE, call)
    assert len(cache_key(LITE, call)) == 64


def test_the_borders_between_turns_count() -> None:
    one = call_of(turns=(Turn(role="user", text="ab"),))
    two = call_of(turns=(Turn(role="user", text="a"), Turn(role="user", text="b")))
    assert cache_key(LITE, one) != cache_key(LITE, two)


def test_many_who_wait_for_one_window_say_it_once() -> None:
    clock, account, other = JumpingClock(), NotingAccount(), NotingAccount("r2")
    telling = Telling(clock)
    for seconds in (26.0, 26.4, 1.0, 27.0):
        telling.wait(account, LITE, seconds)
    telling.wait(other, LITE, 26.0)
    assert account.notices == other.notices == [f"{LITE} allows no request before 12:00:26 UTC; waiting 26 s"]
    clock.seconds = 30
    telling.wait(account, LITE, 10.0)
    assert account.notices[1:] == [f"{LITE} allows no request before 12:00:40 UTC; waiting 10 s"]
    for _ in range(2):
        telling.once(account, "once")
    assert account.notices[2:] == ["once"]


def test_what_has_begun_is_done_to_its_end() -> None:
    async def body() -> None:
        begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def work() -> None:
            begun.set()
            await go.wait()
            done.set()

        task = asyncio.create_task(unbroken(work()))
        await begun.wait()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done.is_set()

    asyncio.run(body())


def test_a_failure_of_what_was_to_be_done_comes_out() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="the disk is full"):
        asyncio.run(unbroken(work()))
