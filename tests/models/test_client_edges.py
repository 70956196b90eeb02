"""The real clients where HTTP itself matters: keys, connections, addresses, odd servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from nadg.models.call import RateLimited, RequestFailed, RequestRefused, TemporarilyDown
from nadg.models.clients import PydanticAiClient
from nadg.models.configuration import ApiKey, ModelSettings
from nadg.models.google import create_google_client
from nadg.models.openai import create_openai_client
from tests.models.clients import KEY, WRONG_KEY, Sink, call_of, google_bench, openai_bench
from tests.support.gemini import BreakOff, Fail, RateLimit, Say, scripted
from tests.support.openai_imitation import OpenAIImitation

both_ways = pytest.mark.parametrize("streamed", [False, True])
both_clients = pytest.mark.parametrize("provider", ["google", "openai"])


def settings_at(provider: str, url: str, key: str = KEY, **changes: Any) -> ModelSettings:
    fields: dict[str, Any] = {f"{provider}_base_url": url, f"{provider}_api_key": ApiKey(key)}
    return ModelSettings(**(fields | changes))


@contextlib.asynccontextmanager
async def client_at(provider: str, url: str, **changes: Any) -> AsyncIterator[PydanticAiClient]:
    create = create_google_client if provider == "google" else create_openai_client
    client = create(settings_at(provider, url, **changes))
    try:
        yield client
    finally:
        await client.aclose()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@contextlib.asynccontextmanager
async def odd_server(talk: Talk) -> AsyncIterator[str]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def answering(status: str, body: bytes, kind: str = "application/json") -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", "connection: close"]
        writer.write("\r\n".join([*head, "", ""]).encode() + body)
        await writer.drain()
        writer.close()

    return talk


@both_clients
@both_ways
def test_giving_up_closes_the_connection(provider: str, streamed: bool) -> None:
    async def body() -> None:
        came, ended = asyncio.Event(), asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            came.set()
            await reader.read()
            ended.set()
            writer.close()

        async with odd_server(talk) as url, client_at(provider, url) as client:
            asking = asyncio.create_task(client.exchange("m", call_of(), 10, Sink() if streamed else None))
            await came.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await asyncio.wait_for(ended.wait(), 10)

    asyncio.run(body())


@both_clients
@both_ways
@pytest.mark.parametrize(
    "body_of_error",
    [
        b'{"error": {"code": 400, "message": "the key KEY is no good", "status": "INVALID_ARGUMENT"}}',
        b"the key KEY is no good, and this is no JSON",
    ],
)
def test_a_key_that_the_provider_repeats_is_not_shown(provider: str, streamed: bool, body_of_error: bytes) -> None:
    async def body() -> None:
        said = body_of_error.replace(b"KEY", WRONG_KEY.encode())
        talk = answering("400 Bad Request", said)
        async with odd_server(talk) as url, client_at(provider, url, key=WRONG_KEY) as client:
            with pytest.raises(RequestFailed) as raised:
                await client.exchange("m", call_of(), 10, Sink() if streamed else None)
        assert "is no good" in str(raised.value)
        assert WRONG_KEY not in "".join(traceback.format_exception(raised.value))
        assert WRONG_KEY not in repr(settings_at(provider, url, key=WRONG_KEY))

    asyncio.run(body())


@both_clients
@both_ways
@pytest.mark.parametrize(
    "content", [b"", b"<html>a captive portal</html>", b"{}", b"[]", b'{"candidates": 5, "choices": 5}', b"null"]
)
def test_an_answer_that_is_none_is_a_failure(provider: str, streamed: bool, content: bytes) -> None:
    async def body() -> None:
        kind = "text/event-stream" if streamed else "application/json"
        said = b"data: " + content + b"\n\n" if streamed and content else content
        async with odd_server(answering("200 OK", said, kind)) as url, client_at(provider, url) as client:
            with pytest.raises(TemporarilyDown):
                await client.exchange("m", call_of(), 10, Sink() if streamed else None)

    asyncio.run(body())


@both_clients
def test_an_address_where_nobody_listens_costs_nothing(provider: str) -> None:
    async def body() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        async with client_at(provider, url) as client:
            with pytest.raises(TemporarilyDown, match="cannot be reached") as raised:
                await client.exchange("m", call_of(), 10, None)
        assert not raised.value.billed

    asyncio.run(body())


def test_a_connection_serves_many_requests() -> None:
    async def body() -> None:
        async with OpenAIImitation(scripted([Say("well")] * 6)) as server:
            async with client_at("openai", server.url) as client:
                for sink in (None, Sink()) * 3:
                    await client.exchange("small", call_of(), 10, sink)
            assert len(server.requests) == 6
            assert len(server.connections) == 1

    asyncio.run(body())


@both_ways
def test_a_day_s_limit_is_told_from_a_minute_s(streamed: bool) -> None:
    async def body() -> None:
        async with google_bench(RateLimit(per="day", retry_seconds=26, limit=500)) as bench:
            failure = await bench.failure(Sink() if streamed else None)
        assert isinstance(failure, RateLimited)
        assert (failure.per_day, failure.limit, failure.counts) == (True, 500, "requests")
        assert failure.retry_after is None, "the seconds that Google names there lead nowhere"

    asyncio.run(body())


def test_a_limit_of_tokens_is_told_from_one_of_requests() -> None:
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_input_token_count",
        "quotaId": "GenerateContentInputTokensPerModelPerMinute-FreeTier",
        "quotaValue": "250000",
    }
    detail: dict[str, object] = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}

    async def body() -> None:
        async with google_bench(Fail(429, message="too much", details=(detail,))) as bench:
            failure = await bench.failure()
        assert isinstance(failure, RateLimited)
        assert (failure.per_day, failure.limit, failure.counts) == (False, 250_000, "tokens")

    asyncio.run(body())


def test_a_limit_without_a_word_of_explanation() -> None:
    async def body() -> None:
        async with google_bench(RateLimit(detailed=False)) as bench:
            failure = await bench.failure()
        assert isinstance(failure, RateLimited)
        assert (failure.per_day, failure.limit, failure.retry_after) == (False, None, None)

    asyncio.run(body())


def test_credit_that_is_used_up_is_no_limit_that_a_wait_would_end() -> None:
    async def body() -> None:
        async with openai_bench(RateLimit(per="day")) as bench:
            spent = await bench.failure()
        billing = Fail(400, code="FAILED_PRECONDITION", message="Please enable billing on your project.")
        async with google_bench(billing) as bench:
            unbilled = await bench.failure()
        for failure in (spent, unbilled):
            assert isinstance(failure, RequestRefused)
            assert failure.about == "key"

    asyncio.run(body())


@both_ways
def test_bad_keys_and_unknown_models_are_told_apart(streamed: bool) -> None:
    async def body() -> None:
        for bench_of, name in ((google_bench, "google"), (openai_bench, "openai")):
            wrong: dict[str, Any] = {f"{name}_api_key": ApiKey(WRONG_KEY)}
            async with bench_of(**wrong) as bench:
                refused = await bench.failure(Sink() if streamed else None)
            async with bench_of() as bench:
                unknown = await bench.failure(Sink() if streamed else None, model="no-such-model")
            assert isinstance(refused, RequestRefused)
            assert isinstance(unknown, RequestRefused)
            assert (refused.about, unknown.about) == ("key", "model")
            assert WRONG_KEY not in str(refused)

    asyncio.run(body())


def test_a_stream_that_breaks_before_its_first_word_is_not_retried_here() -> None:
    async def body() -> None:
        async with google_bench(BreakOff("", after=0)) as bench:
            failure = await bench.failure(Sink())
            assert isinstance(failure, TemporarilyDown)
            assert len(bench.requests) == 1

    asyncio.run(body())


def test_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, WRONG_KEY)
    for name in ("OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")

    async def body() -> None:
        async with google_bench(Say("well")) as bench:
            assert (await bench.ask()).text == "well"
        open_to_all = OpenAIImitation(scripted([Say("well")]), api_key=None)
        async with open_to_all as server, client_at("openai", server.url, key="") as client:
            assert (await client.exchange("small", call_of(), 10, None)).text == "well"

    asyncio.run(body())


def test_no_sdk_is_loaded_before_a_model_is_used() -> None:
    code = (
        "import sys, nadg.models.gateway, nadg.models.fake_client\n"
        "print(sorted({'pydantic_ai', 'google.genai', 'openai', 'genai_prices', 'httpx2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_fault_of_the_reader_is_no_failure_of_the_provider() -> None:
    class Clumsy(Sink):
        def text(self, piece: str) -> None:
            raise ValueError("I cannot read")

    async def body() -> None:
        async with google_bench(Say("well")) as bench:
            with pytest.raises(ValueError, match="I cannot read"):
                await bench.ask(sink=Clumsy())

    asyncio.run(body())
