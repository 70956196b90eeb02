"""A model that is down is not asked by everybody three times, and a key that is refused is not tried again."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable
from typing import Any

import pytest

from nadg.domain.errors import ModelRefused, ModelUnavailable
from nadg.models.breaker import OPEN_SECONDS
from nadg.models.call import ClientReply, ModelCall, TemporarilyDown, TextSink
from nadg.models.configuration import ApiKey, ModelSettings
from nadg.models.fake import FakeAnswerCache
from nadg.models.gateway import Gateway
from nadg.models.governor import Governor
from tests.models.clients import WRONG_KEY, call_of
from tests.models.doors import FLASH, LITE, NotingAccount, gemini_house, open_house
from tests.support.gemini import Fail, Request, Say
from tests.support.virtual_time import LoopClock, pass_time, run_virtually

ITEMS = 12


class Provider:
    """A client that takes half a second for each request and is down when it is told to be."""

    def __init__(self) -> None:
        self.is_down: Callable[[str], bool] = lambda text: True
        self.asked: list[str] = []

    async def exchange(
        self, model: str, call: ModelCall, max_output_tokens: int, sink: TextSink | None
    ) -> ClientReply:
        text = call.turns[-1].text
        self.asked.append(text)
        await pass_time(0.5)
        if self.is_down(text):
            raise TemporarilyDown("it answered with error 503", for_all=True)
        return ClientReply(text="yes", input_tokens=1, output_tokens=1)


class Virtual:
    """A gateway to it in virtual time."""

    def __init__(self) -> None:
        clock = LoopClock()
        self.provider, self.account = Provider(), NotingAccount()
        governor = Governor({}, clock=clock, time=clock.monotonic)
        settings = ModelSettings(model=LITE)
        spread = itertools.cycle(number / ITEMS for number in range(ITEMS))
        clients, cache = {"google": self.provider}, FakeAnswerCache()
        self.door = Gateway(settings, clients, governor, cache, clock, random=spread.__next__)

    async def ask_all(self, name: str) -> list[str]:
        """The answers to as many questions as there are items, or what was said instead."""
        asked = (self.door.ask(call_of(f"{name} {number}"), self.account) for number in range(ITEMS))
        found = await asyncio.gather(*asked, return_exceptions=True)
        return [str(one) if isinstance(one, ModelUnavailable) else one.text for one in found]  # type: ignore[union-attr]  # another error fails the test


def test_of_many_at_once_only_one_uses_up_its_tries() -> None:
    async def body() -> None:
        virtual = Virtual()
        said = await virtual.ask_all("first")
        assert set(said) == {f"{LITE} gave no answer in 3 tries: it answered with error 503"}
        assert 2 * ITEMS < len(virtual.provider.asked) < 3 * ITEMS
        sent = len(virtual.provider.asked)
        assert set(await virtual.ask_all("second")) == set(said)
        assert len(virtual.provider.asked) == sent, "nobody is asked for a while"
        await pass_time(OPEN_SECONDS)
        assert set(await virtual.ask_all("third")) == set(said)
        assert len(virtual.provider.asked) == sent + 3, "one question probes, for all"

    run_virtually(body())


def test_all_are_asked_once_the_one_that_probes_is_answered() -> None:
    async def body() -> None:
        virtual = Virtual()
        await virtual.ask_all("first")
        virtual.provider.is_down = lambda text: False
        await pass_time(OPEN_SECONDS)
        assert await virtual.ask_all("second") == ["yes"] * ITEMS

    run_virtually(body())


def test_a_probe_that_is_given_up_hands_on() -> None:
    async def body() -> None:
        virtual = Virtual()
        await virtual.ask_all("first")
        virtual.provider.is_down = lambda text: False
        await pass_time(OPEN_SECONDS)
        probe = asyncio.create_task(virtual.door.ask(call_of("probe"), virtual.account))
        await pass_time(0.1)
        waiting = asyncio.create_task(virtual.ask_all("second"))
        await pass_time(0.1)
        assert virtual.provider.asked[-1] == "probe"
        probe.cancel()
        assert await waiting == ["yes"] * ITEMS

    run_virtually(body())


def test_one_that_fails_while_others_are_answered_hinders_nobody() -> None:
    async def body() -> None:
        virtual = Virtual()
        virtual.provider.is_down = lambda text: text == "first 3"
        said = await virtual.ask_all("first")
        assert said.count("yes") == ITEMS - 1
        assert await virtual.ask_all("second") == ["yes"] * ITEMS

    run_virtually(body())


def test_a_dead_port_is_not_tried_for_each_question() -> None:
    async def body() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with open_house(google_base_url=url) as house:
            account = NotingAccount()
            for number in range(ITEMS):
                with pytest.raises(ModelUnavailable, match="in 3 tries: it cannot be reached"):
                    await house.door.ask(call_of(str(number)), account)
            assert len(account.charged) == 3
            house.clock.seconds += OPEN_SECONDS
            with pytest.raises(ModelUnavailable):
                await house.door.ask(call_of("later"), account)
            assert len(account.charged) == 6

    asyncio.run(body())


@pytest.mark.parametrize("status", [502, 503])
def test_a_fallback_is_asked_at_once_meanwhile(status: int) -> None:
    def script(request: Request) -> Any:
        return Say("well") if request.model == "gemini-3.8-flash" else Fail(status)

    async def body() -> None:
        async with gemini_house(script=script, fallbacks=(FLASH,)) as house:
            for number in range(3):
                assert (await house.door.ask(call_of(str(number)), NotingAccount())).model == FLASH
        models = [one.model for one in house.requests]
        assert models == ["gemini-3.5-flash-lite"] * 3 + ["gemini-3.8-flash"] * 3

    asyncio.run(body())


@pytest.mark.parametrize("failure", [Fail(500), Fail(504)])
def test_what_may_be_the_question_s_own_fault_hinders_no_other(failure: Fail) -> None:
    async def body() -> None:
        async with gemini_house(failure, failure, failure, Say("well")) as house:
            with pytest.raises(ModelUnavailable):
                await house.door.ask(call_of("odd"), NotingAccount())
            assert (await house.door.ask(call_of("plain"), NotingAccount())).text == "well"

    asyncio.run(body())


def test_a_refused_key_is_not_tried_again() -> None:
    async def body() -> None:
        async with gemini_house(google_api_key=ApiKey(WRONG_KEY)) as house:
            account = NotingAccount()
            for model in (LITE, LITE, FLASH):
                with pytest.raises(ModelRefused, match="refuses the key in GEMINI_API_KEY"):
                    await house.door.ask(call_of(model=model), account)
                house.clock.seconds += 3600
        assert len(account.charged) == 1

    asyncio.run(body())
