"""The gateway against the imitation of Gemini over HTTP: what goes wrong, what it costs, what users hear of it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from nadg.domain.errors import ContentBlocked, ModelRefused, ModelUnavailable, UserError
from nadg.models.configuration import ApiKey
from nadg.models.estimate import estimate_tokens
from tests.models.clients import KEY, WRONG_KEY, Sink, call_of
from tests.models.doors import FLASH, LITE, LOCAL, JumpingClock, NotingAccount, gemini_house, open_house
from tests.support.gemini import (
    Answer,
    BlockPrompt,
    BreakOff,
    DropConnection,
    Fail,
    Hang,
    Quota,
    RateLimit,
    Request,
    Say,
    by_rule,
    scripted,
)
from tests.support.openai_imitation import OpenAIImitation

OVERLOADED = Fail(503, message="The model is overloaded. Please try again later.")
LONG = "A text of some length, which comes in several pieces when it is streamed."


def test_a_minute_s_limit_is_a_wait_and_never_a_failure() -> None:
    async def body() -> None:
        limits = [RateLimit(retry_seconds=26, limit=60)] * 5
        async with gemini_house(*limits, Say("at last")) as house:
            account = NotingAccount()
            reply = await house.door.ask(call_of(), account)
        assert reply.text == "at last"
        assert account.states == ["refused"] * 5 + ["answered"]
        assert all(one.usage.tokens == 0 and one.usage.cost_usd == 0 for one in account.settled[:5])
        assert account.settled[0].reason.startswith("RateLimited: ")
        assert reply.usage.requests == 6
        assert house.clock.seconds >= 5 * 26
        assert account.notices[0] == f"{LITE} allows no request before 12:00:26 UTC; waiting 26 s"

    asyncio.run(body())


def test_a_day_s_limit_sends_the_next_model() -> None:
    async def body() -> None:
        rules = by_rule(
            [
                (lambda request: request.model == "gemini-3.5-flash-lite", RateLimit(per="day", limit=500)),
                ("", Say("from the other")),
            ]
        )
        async with gemini_house(script=rules, fallbacks=(FLASH,)) as house:
            account = NotingAccount()
            reply = await house.door.ask(call_of(), account)
            again = await house.door.ask(call_of("another"), account)
        assert (reply.model, reply.text) == (FLASH, "from the other")
        assert again.model == FLASH
        assert [one.model for one in house.requests].count("gemini-3.5-flash-lite") == 1, "closed is closed"
        assert account.notices == [
            f"{LITE} allows no more requests until 2026-11-26 08:00 UTC; asking {FLASH} instead"
        ]
        assert house.clock.slept == []

    asyncio.run(body())


def test_a_run_waits_for_the_day_s_end_where_no_model_is_left() -> None:
    async def body() -> None:
        clock = JumpingClock()
        quota = Quota(requests_per_day=1, time=clock.epoch)
        async with gemini_house(Say("one"), Say("two"), quota=quota, clock=clock) as house:
            account = NotingAccount()
            assert (await house.door.ask(call_of("first"), account)).text == "one"
            assert (await house.door.ask(call_of("second"), account)).text == "two"
        assert account.notices == [
            f"{LITE} allows no more requests today; the run waits until 2026-11-26 08:00 UTC"
        ]
        assert clock.now().isoformat() >= "2026-11-26T08:00"
        assert quota.refused == 1, "no request was wasted on the closed day"

    asyncio.run(body())


def test_a_model_that_is_down_is_revisited_while_another_is_closed_for_the_day() -> None:
    async def body() -> None:
        def script(request: Request) -> Answer:
            if request.model == "gemini-3.5-flash-lite":
                return RateLimit(per="day")
            return Say("back again") if clock.seconds > 500 else OVERLOADED

        clock = JumpingClock()
        async with gemini_house(script=script, clock=clock, fallbacks=(FLASH,)) as house:
            account = NotingAccount()
            reply = await house.door.ask(call_of(), account)
        assert (reply.model, reply.text) == (FLASH, "back again")
        assert clock.seconds < 1000
        assert len(account.notices) == 2
        assert account.notices[1].startswith(f"{FLASH} gave no answer in 3 tries: ")
        assert account.notices[1].endswith(
            f"; {LITE} allows no more requests today; the run waits until 2026-11-26 08:00 UTC"
        )

    asyncio.run(body())


def test_two_models_closed_for_the_day() -> None:
    async def body() -> None:
        clock = JumpingClock()
        quota = Quota(requests_per_day=1, time=clock.epoch)
        async with gemini_house(
            script=by_rule([("", Say("well"))]), quota=quota, clock=clock, fallbacks=(FLASH,)
        ) as house:
            account = NotingAccount()
            models = [(await house.door.ask(call_of(str(n)), account)).model for n in range(3)]
        assert models == [LITE, FLASH, LITE]
        assert account.notices[-1] == (
            f"{LITE} and {FLASH} allow no more requests today; the run waits until 2026-11-26 08:00 UTC"
        )
        assert (quota.accepted, quota.refused) == (3, 2)

    asyncio.run(body())


def test_an_overloaded_model_is_tried_again() -> None:
    async def body() -> None:
        async with gemini_house(OVERLOADED, OVERLOADED, Say("now")) as house:
            account = NotingAccount()
            reply = await house.door.ask(call_of(), account)
        assert reply.text == "now"
        assert house.clock.slept == [1.0, 2.0]
        assert [one.usage.tokens for one in account.settled[:2]] == [0, 0]
        assert account.settled[0].usage.requests == 1

    asyncio.run(body())


def test_then_the_next_model_is_asked_and_at_last_one_sentence_says_why() -> None:
    async def body() -> None:
        async with gemini_house(script=by_rule([("", OVERLOADED)]), fallbacks=(FLASH,)) as house:
            account = NotingAccount()
            with pytest.raises(ModelUnavailable) as raised:
                await house.door.ask(call_of(), account)
        words = "The model is overloaded. Please try again later"
        cause = f"gave no answer in 3 tries: it answered with error 503 ({words})"
        assert str(raised.value) == f"{FLASH} {cause}"
        assert account.notices == [f"{LITE} {cause}; asking {FLASH} instead"]
        assert [one.model for one in house.requests] == ["gemini-3.5-flash-lite"] * 3 + ["gemini-3.8-flash"] * 3

    asyncio.run(body())


@pytest.mark.parametrize("broken", [BreakOff(LONG, after=36), DropConnection(LONG, after=36)])
def test_a_stream_that_breaks_off_begins_anew_and_is_paid_for(broken: BreakOff | DropConnection) -> None:
    async def body() -> None:
        async with gemini_house(broken, Say(LONG)) as house:
            account, sink = NotingAccount(), Sink()
            reply = await house.door.ask(call_of(), account, sink)
        assert reply.text == sink.heard == LONG
        assert sink.before == [LONG[:36]]
        failed, answered = account.settled
        assert failed.usage.output_tokens == estimate_tokens(LONG[:36])
        assert failed.usage.input_tokens == failed.wanted.input_tokens
        assert failed.usage.cost_usd is not None
        assert failed.usage.cost_usd > 0
        assert reply.usage == failed.usage.plus(answered.usage)

    asyncio.run(body())


def test_a_reader_is_told_to_begin_anew_only_where_something_had_come() -> None:
    async def body() -> None:
        async with gemini_house(
            OVERLOADED, RateLimit(), BreakOff(LONG, after=36), RateLimit(), Say(LONG)
        ) as house:
            sink = Sink()
            await house.door.ask(call_of(), NotingAccount(), sink)
        assert sink.before == [LONG[:36]]

    asyncio.run(body())


@pytest.mark.parametrize("silent", [Hang(), Hang(text="a beginning")])
@pytest.mark.parametrize("streamed", [False, True])
def test_silence_ends_and_counts_with_all_that_it_may_cost(silent: Hang, streamed: bool) -> None:
    async def body() -> None:
        times: dict[str, Any] = {"timeout_seconds": 0.4, "first_token_seconds": 0.3}
        async with gemini_house(silent, Say(LONG), **times) as house:
            account, sink = NotingAccount(), Sink()
            reply = await house.door.ask(call_of(), account, sink if streamed else None)
        assert reply.text == LONG
        failed = account.settled[0]
        if streamed and silent.text:
            assert (sink.before, failed.usage.output_tokens) == (["a beginning"], estimate_tokens("a beginning"))
        else:
            assert failed.usage.output_tokens == failed.wanted.max_output_tokens

    asyncio.run(body())


@pytest.mark.parametrize("variable", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
def test_a_wrong_key_is_named_and_not_shown(variable: str) -> None:
    async def body() -> None:
        key: dict[str, Any] = {"google_api_key": ApiKey(WRONG_KEY), "google_key_variable": variable}
        async with gemini_house(fallbacks=(FLASH,), **key) as house:
            account = NotingAccount()
            with pytest.raises(ModelRefused) as raised:
                await house.door.ask(call_of(), account)
        assert str(raised.value) == (
            f"{LITE} refuses the key in {variable} (API key not valid. Please pass a valid API key); "
            f"set {variable} to one that works"
        )
        assert isinstance(raised.value, UserError)
        assert len(account.charged) == 1, "the same key would do no better for the other model"
        assert account.settled[0].usage.tokens == 0

    asyncio.run(body())


def test_a_wrong_key_of_one_provider_is_no_hindrance_for_another() -> None:
    async def body() -> None:
        async with OpenAIImitation(scripted([Say("local")])) as local:
            keys: dict[str, Any] = {"google_api_key": ApiKey(WRONG_KEY), "openai_api_key": ApiKey(KEY)}
            async with gemini_house(fallbacks=(FLASH, LOCAL), openai_base_url=local.url, **keys) as house:
                account = NotingAccount()
                reply = await house.door.ask(call_of(), account)
        assert (reply.model, reply.text) == (LOCAL, "local")
        assert reply.usage.cost_usd == 0.0
        assert account.notices[0].endswith(f"; asking {LOCAL} instead")

    asyncio.run(body())


def test_an_unknown_model_is_named() -> None:
    async def body() -> None:
        async with gemini_house(model="google:gemini-9") as house:
            with pytest.raises(ModelRefused) as raised:
                await house.door.ask(call_of(), NotingAccount())
        assert str(raised.value).startswith("there is no model google:gemini-9 (models/gemini-9 is not found")
        assert str(raised.value).endswith("; name another (--model or NADG_MODEL)")

    asyncio.run(body())


def test_a_port_where_nobody_listens() -> None:
    async def body() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        async with open_house(google_base_url=f"http://127.0.0.1:{port}") as house:
            account = NotingAccount()
            with pytest.raises(ModelUnavailable, match="in 3 tries: it cannot be reached"):
                await house.door.ask(call_of(), account)
        assert [one.usage.tokens for one in account.settled] == [0, 0, 0]

    asyncio.run(body())


def test_what_the_provider_refuses_is_said_in_its_words() -> None:
    async def body() -> None:
        async with gemini_house(Fail(400, message="no plums, please")) as house:
            with pytest.raises(ModelRefused, match=r"refuses the request \(no plums, please\); ask otherwise"):
                await house.door.ask(call_of(), NotingAccount())

    asyncio.run(body())


def test_a_content_filter_is_final() -> None:
    async def body() -> None:
        async with gemini_house(BlockPrompt(), Say("never"), fallbacks=(FLASH,)) as house:
            account = NotingAccount()
            with pytest.raises(ContentBlocked, match=r"a content filter of .* stopped the request \(SAFETY\)"):
                await house.door.ask(call_of(), account)
        assert len(house.requests) == 1
        assert account.settled[0].usage.input_tokens > 0

    asyncio.run(body())
