"""The imitation of Gemini, driven by the product's real client: every kind of answer, plain and streamed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
)
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.settings import ModelSettings

from tests.support.gemini import (
    Answer,
    BlockPrompt,
    BreakOff,
    DropConnection,
    Fail,
    GeminiImitation,
    Hang,
    RateLimit,
    Request,
    Say,
    Truncate,
    scripted,
)

SCHEMA: dict[str, object] = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
REPLY = '{"word": "' + "größer und " * 8 + '"}'
LITE = "gemini-3.5-flash-lite"
BOTH = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "stream"])


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the client got: the response or the error, the pieces of text, and the requests that were served."""

    response: ModelResponse | None
    error: ModelAPIError | None
    pieces: list[str]
    requests: list[Request]


def ask(
    *answers: Answer,
    is_stream: bool,
    model: str = LITE,
    key: str = "test-key",
    max_tokens: int | None = None,
    timeout: float | None = None,
) -> Told:
    """One request by the real client to an imitation of its own."""
    settings = ModelSettings()
    if max_tokens is not None:
        settings["max_tokens"] = max_tokens
    if timeout is not None:
        settings["timeout"] = timeout

    async def run() -> Told:
        pieces: list[str] = []
        response = error = None
        async with (
            GeminiImitation(scripted(answers)) as gemini,
            GoogleModel(model, provider=GoogleProvider(base_url=gemini.url, api_key=key)) as client,
        ):
            try:
                response = await _request(client, settings, pieces, is_stream)
            except ModelAPIError as raised:
                error = raised
        return Told(response=response, error=error, pieces=pieces, requests=gemini.requests)

    return asyncio.run(run())


async def _request(
    client: GoogleModel, settings: ModelSettings, pieces: list[str], is_stream: bool
) -> ModelResponse:
    wanted = OutputObjectDefinition(json_schema=SCHEMA)
    parameters = ModelRequestParameters(output_mode="native", output_object=wanted)
    messages = [ModelRequest(parts=[SystemPromptPart("be brief"), UserPromptPart("one word, please")])]
    if not is_stream:
        return await client.request(list(messages), settings, parameters)
    async with client.request_stream(list(messages), settings, parameters) as stream:
        async for event in stream:
            match event:
                case PartStartEvent(part=TextPart(content=piece)):
                    pieces.append(piece)
                case PartDeltaEvent(delta=TextPartDelta(content_delta=piece)):
                    pieces.append(piece)
        return stream.get()


@BOTH
def test_a_reply_arrives_whole_with_its_usage(is_stream: bool) -> None:
    told = ask(Say(REPLY, thoughts=9), is_stream=is_stream)
    assert told.response is not None
    assert told.response.text == REPLY
    assert told.response.finish_reason == "stop"
    assert told.response.model_name == LITE
    assert told.response.provider_response_id == "imitation-0"
    assert told.response.usage.input_tokens == 2 + 4
    assert told.response.usage.output_tokens == -(-len(REPLY) // 4) + 9
    assert told.response.usage.details["thoughts_tokens"] == 9


def test_a_stream_comes_in_chunks_of_the_asked_size() -> None:
    told = ask(Say(REPLY, chunk=7), is_stream=True)
    assert told.pieces == [REPLY[start : start + 7] for start in range(0, len(REPLY), 7)]


@BOTH
def test_the_request_that_the_client_sent_is_kept_without_its_key(is_stream: bool) -> None:
    told = ask(Say(REPLY), is_stream=is_stream, key="test-key", max_tokens=900)
    (request,) = told.requests
    assert (request.number, request.model, request.version, request.stream) == (0, LITE, "v1beta", is_stream)
    assert request.system == "be brief"
    assert request.contents == (("user", "one word, please"),)
    assert request.text == "one word, please"
    assert request.json_schema == SCHEMA
    assert request.max_output_tokens == 900
    assert b"test-key" not in msgspec.json.encode(request)


@BOTH
@pytest.mark.parametrize(
    ("answer", "max_tokens", "left"),
    [
        (Truncate(REPLY, 30), None, REPLY[:30]),
        (Say(REPLY), 5, REPLY[:20]),
        (Say(REPLY, thoughts=3), 5, REPLY[:8]),
        (Say(REPLY[:20], thoughts=3), 6, REPLY[:12]),
        (Say(REPLY, thoughts=8), 5, None),
    ],
    ids=["scripted", "max_tokens", "thoughts count too", "fits without its thoughts", "only thoughts"],
)
def test_a_cut_reply_says_length(
    answer: Answer, max_tokens: int | None, left: str | None, is_stream: bool
) -> None:
    told = ask(answer, is_stream=is_stream, max_tokens=max_tokens)
    assert told.response is not None
    assert (told.response.finish_reason, told.response.text) == ("length", left)


@BOTH
def test_a_blocked_prompt_has_no_candidates(is_stream: bool) -> None:
    told = ask(BlockPrompt("PROHIBITED_CONTENT"), is_stream=is_stream)
    assert told.response is not None
    assert (told.response.finish_reason, told.response.parts) == ("content_filter", [])
    assert told.response.provider_details == {"block_reason": "PROHIBITED_CONTENT"}
    assert told.response.usage.input_tokens == 2 + 4


@BOTH
def test_a_reply_stopped_for_safety_says_content_filter(is_stream: bool) -> None:
    told = ask(Say(REPLY[:20], finish="SAFETY"), is_stream=is_stream)
    assert told.response is not None
    assert (told.response.finish_reason, told.response.text) == ("content_filter", REPLY[:20])


@BOTH
@pytest.mark.parametrize(
    ("answer", "kind", "retry_after"),
    [
        (RateLimit(), ModelRateLimitError, 26.0),
        (RateLimit(retry_seconds=0.5), ModelRateLimitError, 0.5),
        (RateLimit(retry_seconds=None), ModelRateLimitError, None),
        (RateLimit(detailed=False), ModelRateLimitError, None),
        (RateLimit(per="day"), ModelQuotaExceededError, 26.0),
        (RateLimit(per="day", retry_seconds=None), ModelQuotaExceededError, None),
        (RateLimit(per="day", detailed=False), ModelRateLimitError, None),
    ],
)
def test_both_429s(answer: Answer, kind: type[ModelAPIError], retry_after: float | None, is_stream: bool) -> None:
    told = ask(answer, Say(REPLY), is_stream=is_stream)
    assert isinstance(told.error, kind)
    assert isinstance(told.error, ModelHTTPError)
    assert (told.error.status_code, told.error.retry_after) == (429, retry_after)
    assert len(told.requests) == 1  # the client itself does not try again


@BOTH
@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Fail(400, message="no such field"), ModelRequestRejectedError, "INVALID_ARGUMENT"),
        (Fail(403), ModelAuthenticationError, "PERMISSION_DENIED"),
        (Fail(500), ModelServerError, "INTERNAL"),
        (Fail(503, message="try later"), ModelUnavailableError, "UNAVAILABLE"),
        (Fail(503, message="The model is overloaded."), ModelOverloadedError, "UNAVAILABLE"),
        (Fail(504), ModelServerError, "DEADLINE_EXCEEDED"),
    ],
)
def test_errors_of_the_api(answer: Fail, kind: type[ModelAPIError], code: str, is_stream: bool) -> None:
    told = ask(answer, Say(REPLY), is_stream=is_stream)
    assert isinstance(told.error, kind)
    assert isinstance(told.error, ModelHTTPError)
    assert (told.error.status_code, told.error.provider_error_code) == (answer.status, code)
    assert (told.error.in_stream, len(told.requests)) == (False, 1)


@BOTH
def test_a_stream_that_breaks_off(is_stream: bool) -> None:
    told = ask(BreakOff(REPLY, after=30, chunk=10), is_stream=is_stream)
    assert isinstance(told.error, ModelUnavailableError)
    assert isinstance(told.error, ModelHTTPError)
    assert (told.error.status_code, told.error.in_stream) == (503, is_stream)
    assert "".join(told.pieces) == (REPLY[:30] if is_stream else "")


@BOTH
@pytest.mark.parametrize("after", [0, 30])
def test_a_connection_that_drops(after: int, is_stream: bool) -> None:
    told = ask(DropConnection(REPLY, after=after), is_stream=is_stream)
    assert type(told.error) is ModelConnectionError
    assert told.error.phase == "read"
    assert "".join(told.pieces) == (REPLY[:after] if is_stream else "")


@BOTH
@pytest.mark.parametrize("text", ["", REPLY[:24]], ids=["silent", "in the middle"])
def test_a_hang_ends_by_the_clients_timeout(text: str, is_stream: bool) -> None:
    told = ask(Hang(text), is_stream=is_stream, timeout=0.3)
    assert isinstance(told.error, ModelTimeoutError)
    assert "".join(told.pieces) == (text if is_stream else "")


@BOTH
@pytest.mark.parametrize(
    ("model", "key", "kind", "status"),
    [(LITE, "wrong", ModelAuthenticationError, 400), ("gemini-9", "test-key", ModelNotFoundError, 404)],
    ids=["bad key", "unknown model"],
)
def test_refused_before_the_script(
    model: str, key: str, kind: type[ModelAPIError], status: int, is_stream: bool
) -> None:
    told = ask(Say(REPLY), is_stream=is_stream, model=model, key=key)
    assert isinstance(told.error, kind)
    assert isinstance(told.error, ModelHTTPError)
    assert (told.error.status_code, told.requests) == (status, [])


@BOTH
def test_what_the_script_raises_is_raised_again_when_the_imitation_closes(is_stream: bool) -> None:
    def broken(request: Request) -> Answer:
        raise LookupError(f"not expected: {request.text}")

    script: Callable[[Request], Answer] = broken

    async def run() -> None:
        async with GeminiImitation(script) as gemini:
            provider = GoogleProvider(base_url=gemini.url, api_key="test-key")
            async with GoogleModel(LITE, provider=provider) as client:
                with pytest.raises(ModelServerError):
                    await _request(client, ModelSettings(), [], is_stream)

    with pytest.raises(LookupError, match="not expected: one word, please"):
        asyncio.run(run())
