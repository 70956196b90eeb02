"""What every client promises the gateway: on the fake, and on both real ones over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from nadg.models.call import RateLimited, RequestBlocked, RequestRefused, TemporarilyDown, Turn
from nadg.models.estimate import estimate_tokens
from tests.models.clients import SCHEMA, Bench, Sink, call_of, fake_bench, google_bench, openai_bench
from tests.support.gemini import BlockPrompt, BreakOff, DropConnection, Fail, Hang, RateLimit, Say

Opens = Callable[..., AbstractAsyncContextManager[Bench]]
TEXT = "Ten sentences of no weight, long enough for several pieces of a stream."

all_clients = pytest.mark.parametrize("opens", [fake_bench, google_bench, openai_bench])
real_clients = pytest.mark.parametrize("opens", [google_bench, openai_bench])
both_ways = pytest.mark.parametrize("streamed", [False, True])


@all_clients
def test_the_whole_text_comes_with_its_counts(opens: Opens) -> None:
    async def body() -> None:
        async with opens(Say(TEXT)) as bench:
            reply = await bench.ask()
        assert reply.text == TEXT
        assert not reply.truncated
        assert reply.input_tokens > 0
        assert len(TEXT) / 5 < reply.output_tokens < len(TEXT) / 2
        assert reply.thinking_tokens == 0

    asyncio.run(body())


@all_clients
def test_a_stream_gives_the_same_text_in_pieces(opens: Opens) -> None:
    async def body() -> None:
        sink = Sink()
        async with opens(Say(TEXT, thoughts=40)) as bench:
            reply = await bench.ask(sink=sink)
        assert reply.text == sink.heard == TEXT
        assert len(sink.pieces) > 3
        assert reply.input_tokens > 0
        assert reply.thinking_tokens == 40
        assert len(TEXT) / 5 < reply.output_tokens < len(TEXT) / 2, "without the thinking"

    asyncio.run(body())


@all_clients
@both_ways
def test_an_answer_that_is_too_long_is_cut_off(opens: Opens, streamed: bool) -> None:
    async def body() -> None:
        async with opens(Say(TEXT)) as bench:
            reply = await bench.ask(sink=Sink() if streamed else None, most=5)
        assert reply.truncated
        assert TEXT.startswith(reply.text)
        assert 0 < len(reply.text) < len(TEXT)

    asyncio.run(body())


@all_clients
@both_ways
def test_thinking_may_leave_nothing_of_an_answer(opens: Opens, streamed: bool) -> None:
    async def body() -> None:
        async with opens(Say(TEXT, thoughts=50)) as bench:
            reply = await bench.ask(sink=Sink() if streamed else None, most=50)
        assert (reply.text, reply.truncated, reply.thinking_tokens) == ("", True, 50)

    asyncio.run(body())


@all_clients
@both_ways
def test_too_many_requests_say_when_to_come_again(opens: Opens, streamed: bool) -> None:
    async def body() -> None:
        async with opens(RateLimit(retry_seconds=26), Say(TEXT)) as bench:
            failure = await bench.failure(Sink() if streamed else None)
            assert isinstance(failure, RateLimited)
            assert (failure.retry_after, failure.per_day, failure.billed) == (26.0, False, False)
            assert (await bench.ask()).text == TEXT

    asyncio.run(body())


@all_clients
@both_ways
def test_an_overloaded_provider_costs_nothing(opens: Opens, streamed: bool) -> None:
    async def body() -> None:
        async with opens(Fail(503, message="The model is overloaded."), Say(TEXT)) as bench:
            failure = await bench.failure(Sink() if streamed else None)
            assert isinstance(failure, TemporarilyDown)
            assert (failure.billed, failure.received_tokens) == (False, 0)
            assert (await bench.ask()).text == TEXT, "and the client can be used again"

    asyncio.run(body())


@all_clients
@pytest.mark.parametrize("answer", [BreakOff(TEXT, after=36), DropConnection(TEXT, after=36)])
def test_a_stream_that_breaks_off_costs_what_had_come(opens: Opens, answer: BreakOff | DropConnection) -> None:
    async def body() -> None:
        sink = Sink()
        async with opens(answer) as bench:
            failure = await bench.failure(sink)
        assert isinstance(failure, TemporarilyDown)
        assert sink.heard == TEXT[:36]
        assert failure.billed
        assert failure.received_tokens == estimate_tokens(TEXT[:36])

    asyncio.run(body())


@all_clients
@both_ways
def test_a_content_filter_is_told_apart(opens: Opens, streamed: bool) -> None:
    async def body() -> None:
        async with opens(BlockPrompt()) as bench:
            failure = await bench.failure(Sink() if streamed else None)
        assert isinstance(failure, RequestBlocked)

    asyncio.run(body())


@all_clients
def test_a_request_that_is_refused_says_why(opens: Opens) -> None:
    async def body() -> None:
        async with opens(Fail(400, message="no such thing as a plum")) as bench:
            failure = await bench.failure()
        assert isinstance(failure, RequestRefused)
        assert failure.about == "request"
        assert "no such thing as a plum" in str(failure)
        assert not failure.billed

    asyncio.run(body())


@all_clients
def test_a_cancelled_request_ends_at_once(opens: Opens) -> None:
    async def body() -> None:
        heard = asyncio.Event()

        class Listening(Sink):
            def text(self, piece: str) -> None:
                heard.set()

        async with opens(Hang(text="a beginning of it"), Say(TEXT)) as bench:
            asking = asyncio.create_task(bench.ask(sink=Listening()))
            await heard.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert (await bench.ask()).text == TEXT

    asyncio.run(body())


@real_clients
@both_ways
def test_what_is_asked_reaches_the_provider_whole(opens: Opens, streamed: bool) -> None:
    turns = (
        Turn(role="user", text="first"),
        Turn(role="model", text="second"),
        Turn(role="user", text="third"),
    )
    call = call_of(turns=turns, instructions="Be brief.", output_schema=SCHEMA)

    async def body() -> None:
        async with opens(Say('{"name": "Ada"}')) as bench:
            reply = await bench.ask(call, Sink() if streamed else None, most=77)
        (request,) = bench.requests
        assert reply.text == '{"name": "Ada"}'
        assert request.stream is streamed
        assert request.system == "Be brief."
        assert [text for _, text in request.contents] == ["first", "second", "third"]
        assert [role for role, _ in request.contents][::2] == ["user", "user"]
        assert request.json_schema is not None
        assert request.json_schema["required"] == ["name"]
        assert request.max_output_tokens == 77
        assert not {"temperature", "top_p", "topP", "topK"} & set(str(request.raw).replace("'", " ").split())

    asyncio.run(body())


@real_clients
@both_ways
@pytest.mark.parametrize(
    "answer",
    [Fail(500), Fail(503), Fail(504), Fail(408), RateLimit(), DropConnection(TEXT, after=24), Hang()],
    ids=["500", "503", "504", "408", "429", "dropped", "silent"],
)
def test_one_exchange_is_one_http_request(opens: Opens, streamed: bool, answer: Fail) -> None:
    async def body() -> None:
        times = {"timeout_seconds": 0.3, "first_token_seconds": 0.3} if isinstance(answer, Hang) else {}
        async with opens(answer, Say("never asked for"), **times) as bench:
            failure = await bench.failure(Sink() if streamed else None)
            assert isinstance(failure, RateLimited if isinstance(answer, RateLimit) else TemporarilyDown)
            assert len(bench.requests) == 1

    asyncio.run(body())
