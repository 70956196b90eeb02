"""The gateway against the imitation of Gemini over HTTP: answers cut off, kept, chosen, given up and shared."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from nadg.domain.errors import AnswerUnfit, ModelRefused, UserError
from nadg.domain.model_calls import ModelUsage
from nadg.models.configuration import ApiKey, ModelSettings
from nadg.models.fake import FakeAnswerCache
from nadg.models.gateway import open_gateway
from nadg.models.limits import RateLimits
from tests.models.clients import KEY, SCHEMA, Sink, call_of
from tests.models.doors import FLASH, LITE, LOCAL, NotingAccount, gemini_house, open_house
from tests.support.gemini import GeminiImitation, Hang, Say, Truncate, by_rule, scripted

LONG = "A text of some length, which comes in several pieces when it is streamed."


def test_half_a_json_document_is_asked_for_again_with_more_room() -> None:
    async def body() -> None:
        whole = '{"name": "Ada"}'
        async with gemini_house(Truncate(whole, at=9), Say(whole)) as house:
            account, sink = NotingAccount(), Sink()
            call = call_of(output_schema=SCHEMA, max_output_tokens=100)
            reply = await house.door.ask(call, account, sink)
        assert reply.text == sink.heard == whole
        assert sink.restarts == 1
        assert [one.max_output_tokens for one in house.requests] == [100, 200]
        assert account.states == ["failed", "answered"]
        assert account.settled[0].usage.output_tokens > 0, "it has been paid for all the same"
        assert reply.usage.answers == 1

    asyncio.run(body())


@pytest.mark.parametrize(("answer", "schema"), [(Truncate("{", at=1), SCHEMA), (Truncate("", at=0), None)])
def test_what_is_cut_off_twice_is_unfit(answer: Truncate, schema: dict[str, object] | None) -> None:
    async def body() -> None:
        async with gemini_house(answer, answer) as house:
            with pytest.raises(AnswerUnfit) as raised:
                await house.door.ask(call_of(output_schema=schema, max_output_tokens=50), NotingAccount())
        assert str(raised.value) == (
            f"the answer of {LITE} was cut off at 100 tokens; give it more with max_output_tokens"
        )

    asyncio.run(body())


def test_no_more_is_asked_for_than_a_model_can_write() -> None:
    async def body() -> None:
        cut = Truncate("{", at=1)
        async with gemini_house(cut, cut, cut) as house:
            for wanted in (40_000, 65_536):
                call = call_of(output_schema=SCHEMA, max_output_tokens=wanted)
                with pytest.raises(AnswerUnfit, match="cut off at 65,536 tokens; no answer may be longer"):
                    await house.door.ask(call, NotingAccount())
        assert [one.max_output_tokens for one in house.requests] == [40_000, 65_536, 65_536]

    asyncio.run(body())


def test_a_budget_that_cuts_the_answer_is_not_asked_twice() -> None:
    async def body() -> None:
        async with gemini_house(Say("x" * 400)) as house:
            account = NotingAccount()
            account.longest = 20
            with pytest.raises(
                AnswerUnfit,
                match=r"cut off at 20 tokens; the budget leaves no more; raise it with --budget-tokens$",
            ):
                await house.door.ask(call_of(output_schema=SCHEMA), account)
        assert [one.max_output_tokens for one in house.requests] == [20]

    asyncio.run(body())


def test_half_a_text_is_an_answer_but_not_one_to_keep() -> None:
    async def body() -> None:
        async with gemini_house(Truncate(LONG, at=20), Say(LONG)) as house:
            account = NotingAccount()
            half = await house.door.ask(call_of(max_output_tokens=256), account)
            whole = await house.door.ask(call_of(max_output_tokens=256), account)
        why = "give it more with max_output_tokens"
        assert (half.text, half.cut_off) == (LONG[:20], f"the answer of {LITE} was cut off at 256 tokens; {why}")
        assert (whole.text, whole.cut_off) == (LONG, "")

    asyncio.run(body())


def test_the_same_question_is_answered_from_the_cache() -> None:
    async def body() -> None:
        async with gemini_house(Say("once"), Say("twice")) as house:
            account, sink = NotingAccount("r2"), Sink()
            first = await house.door.ask(call_of(), NotingAccount("r1"))
            second = await house.door.ask(call_of(), account, sink)
            other = await house.door.ask(call_of(max_output_tokens=5000), account)
        assert first.text == second.text == sink.heard == "once"
        assert second.usage == ModelUsage(models=(LITE,), answers=1, cached=1)
        assert [one.usage for one in account.cached] == [first.usage]
        assert other.text == "twice", "another question"
        assert len(house.requests) == 2

    asyncio.run(body())


def test_a_run_without_the_cache_knows_only_its_own_answers() -> None:
    async def body() -> None:
        async with gemini_house(Say("one"), Say("two"), Say("three")) as house:
            await house.door.ask(call_of(), NotingAccount("r1"))
            fresh = NotingAccount("r2", use_cache=False)
            texts = [(await house.door.ask(call_of(), fresh)).text for _ in range(2)]
            other = await house.door.ask(call_of(), NotingAccount("r3", use_cache=False))
        assert (texts, other.text) == (["two", "two"], "three")

    asyncio.run(body())


def test_a_question_that_is_asked_anew_knows_only_the_runs_own_answers() -> None:
    async def body() -> None:
        async with gemini_house(Say("one"), Say("two")) as house:
            await house.door.ask(call_of(), NotingAccount("r1"))
            account, anew = NotingAccount("r2"), msgspec.structs.replace(call_of(), anew=True)
            texts = [(await house.door.ask(one, account)).text for one in (anew, anew, call_of())]
        assert texts == ["two", "two", "one"]

    asyncio.run(body())


def test_the_purpose_picks_the_model_and_a_call_may_name_its_own() -> None:
    async def body() -> None:
        async with gemini_house(script=by_rule([("", Say("well"))]), plan_model=FLASH) as house:
            account = NotingAccount()
            for call in (call_of("1", purpose="plan"), call_of("2"), call_of("3", model=FLASH)):
                await house.door.ask(call, account)
            with pytest.raises(ModelRefused, match=r"^openai:small needs a key: set OPENAI_API_KEY"):
                await house.door.ask(call_of(model=LOCAL), account)
            named = (FLASH, LITE, LOCAL, "gemni", "google:dearest")
            assert [house.door.serves(one) for one in named] == [True, True, False, False, False]
        assert [one.model for one in house.requests] == [
            "gemini-3.8-flash",
            "gemini-3.5-flash-lite",
            "gemini-3.8-flash",
        ]

    asyncio.run(body())


def test_no_model_at_all() -> None:
    async def body() -> None:
        async with open_house(model="") as house:
            with pytest.raises(ModelRefused, match="no model is set; set NADG_MODEL"):
                await house.door.ask(call_of(), NotingAccount())

    asyncio.run(body())


def test_a_question_that_is_given_up_keeps_what_was_set_aside() -> None:
    async def body() -> None:
        asked = asyncio.Event()

        class Listening(Sink):
            def text(self, piece: str) -> None:
                asked.set()

        async with gemini_house(Hang(text="a beginning"), Say("another")) as house:
            account = NotingAccount()
            account.may_settle = asyncio.Event()
            asking = asyncio.create_task(house.door.ask(call_of(), account, Listening()))
            await asked.wait()
            asking.cancel()
            await account.settling.wait()
            asking.cancel()  # once more, in the middle of the writing
            account.may_settle.set()
            with pytest.raises(asyncio.CancelledError):
                await asking
            (given_up,) = account.settled
            assert (await house.door.ask(call_of("again"), account)).text == "another"
        assert given_up.state == "failed"
        assert given_up.reason == "given up: CancelledError"
        assert given_up.usage.input_tokens == given_up.wanted.input_tokens
        assert given_up.usage.output_tokens == given_up.wanted.max_output_tokens
        price = given_up.wanted.output_usd_per_token
        assert price is not None
        assert given_up.usage.cost_usd is not None
        assert given_up.usage.cost_usd > price * given_up.wanted.max_output_tokens

    asyncio.run(body())


def test_a_small_run_is_not_kept_waiting_by_a_big_one() -> None:
    async def body() -> None:
        limits = {LITE: RateLimits(requests_per_minute=10)}
        async with gemini_house(script=by_rule([("", Say("well"))]), limits=limits) as house:
            big, small = NotingAccount("big"), NotingAccount("small")
            many = [asyncio.create_task(house.door.ask(call_of(f"big {n}"), big)) for n in range(60)]
            few = [asyncio.create_task(house.door.ask(call_of(f"small {n}"), small)) for n in range(5)]
            await asyncio.gather(*many, *few)
        order = [request.text.split()[0] for request in house.requests]
        assert len(order) == 65
        assert len(order) - order[::-1].index("small") <= 30, "the last of the few is among the first"
        assert house.clock.seconds < 7 * 60
        assert 1 <= len(big.notices) <= 7, "said once for each window, not once for each request"

    asyncio.run(body())


def test_the_door_is_opened_with_what_the_settings_say() -> None:
    async def body() -> None:
        async with GeminiImitation(scripted([Say("well")]), api_key=KEY) as server:
            settings = ModelSettings(model=LITE, google_api_key=ApiKey(KEY), google_base_url=server.url)
            async with open_gateway(settings, cache=FakeAnswerCache()) as door:
                assert door.serves(LITE)
                assert not door.serves(LOCAL)
                assert (await door.ask(call_of(), NotingAccount())).text == "well"

    asyncio.run(body())


@pytest.mark.parametrize("settings", [ModelSettings(model=LITE), ModelSettings(model="gemni")])
def test_the_door_does_not_open_for_a_model_that_cannot_be_asked(settings: ModelSettings) -> None:
    async def body() -> None:
        async with open_gateway(settings, cache=FakeAnswerCache()):
            raise AssertionError("it opened")

    with pytest.raises(UserError, match=r"GEMINI_API_KEY|PROVIDER:NAME"):
        asyncio.run(body())
