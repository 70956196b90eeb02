"""One request to a model through pydantic-ai, sent once, with its time bounded and its failures translated.

Imports pydantic-ai, so it is imported only when a model is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import httpx2
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, create_async_httpx2_client
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings as RequestSettings
from pydantic_ai.usage import RequestUsage

from nadg.models.call import (
    ClientReply,
    ModelCall,
    RequestBlocked,
    RequestFailed,
    TemporarilyDown,
    TextSink,
)
from nadg.models.configuration import ApiKey, is_loopback
from nadg.models.estimate import estimate_input, estimate_tokens
from nadg.models.failures import translated
from nadg.models.open_streams import own_stream, streams_closed

_CONNECT_SECONDS = 10.0
_THINKING = ("thoughts_tokens", "reasoning_tokens")
"""How the providers name the count of thinking tokens; pydantic-ai counts them among the output's."""


class Times(Protocol):
    """The bounds of one request, in seconds."""

    @property
    def timeout_seconds(self) -> float: ...

    @property
    def first_token_seconds(self) -> float: ...


class PydanticAiClient:
    """A `ModelClient` for one provider. Its connections are kept for the next request until `aclose`."""

    def __init__(
        self, create_model: Callable[[str], Model], http: httpx2.AsyncClient, key: ApiKey, times: Times
    ) -> None:
        self._create_model, self._http, self._key, self._times = create_model, http, key, times
        self._models: dict[str, Model] = {}

    async def aclose(self) -> None:
        await self._http.aclose()

    async def exchange(
        self, model: str, call: ModelCall, max_output_tokens: int, sink: TextSink | None
    ) -> ClientReply:
        """Send it once. Raises RequestFailed and its kinds, with no key in the message."""
        if model not in self._models:
            self._models[model] = self._create_model(model)
        heard = Heard(sink)
        try:
            async with streams_closed():
                response = await self._within_time(self._models[model], call, max_output_tokens, heard)
            return _reply(response, call, heard)
        except RequestFailed:
            raise
        except Exception as error:  # the edge: SDKs fall over odd answers in ways that nobody has listed
            if error is heard.fault:
                raise
            failure = translated(error, estimate_tokens(heard.text))
            raise self._without_key(failure) from self._unless_it_shows_the_key(error)

    async def _within_time(
        self, model: Model, call: ModelCall, max_output_tokens: int, heard: Heard
    ) -> ModelResponse:
        times = self._times
        start = asyncio.get_running_loop().time()
        seconds = times.timeout_seconds if heard.sink is None else times.first_token_seconds
        asked = messages_of(call), settings_of(max_output_tokens, seconds), parameters_of(call)
        try:
            async with asyncio.timeout_at(start + min(seconds, times.timeout_seconds)) as deadline:
                if heard.sink is None:
                    return await model.request(*asked)
                async with model.request_stream(*asked) as stream:
                    async for event in stream:
                        deadline.reschedule(start + times.timeout_seconds)
                        heard.note(event)
                    return stream.get()
        except TimeoutError:
            waited = asyncio.get_running_loop().time() - start
            raise TemporarilyDown(
                f"it had not answered to the end after {round(waited, 1):g} s; "
                "NADG_MODEL_TIMEOUT_SECONDS gives it longer",
                billed=True,
                received_tokens=estimate_tokens(heard.text),
            ) from None

    def _without_key(self, failure: RequestFailed) -> RequestFailed:
        key = self._key.reveal()
        if key:
            failure.args = tuple(str(one).replace(key, "…") for one in failure.args)
        return failure

    def _unless_it_shows_the_key(self, error: Exception) -> Exception | None:
        """The cause, for a traceback, unless a traceback would print the key with it."""
        key, shown = self._key.reveal(), f"{error}{getattr(error, 'body', '')}{error.__cause__}"
        return None if key and key in shown else error


class Heard:
    """The text of an answer that has come so far, passed on to the sink."""

    def __init__(self, sink: TextSink | None) -> None:
        self.sink = sink
        self.pieces: list[str] = []
        self.fault: Exception | None = None
        """What the sink itself raised; no failure of the provider's."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def note(self, event: ModelResponseStreamEvent) -> None:
        match event:
            case PartStartEvent(part=TextPart(content=piece)):
                pass
            case PartDeltaEvent(delta=TextPartDelta(content_delta=piece)):
                pass
            case _:
                return
        if piece:
            self.pieces.append(piece)
            self._pass_on(piece)

    def _pass_on(self, piece: str) -> None:
        try:
            if self.sink is not None:
                self.sink.text(piece)
        except Exception as error:
            self.fault = error
            raise


def create_http(base_url: str, timeout_seconds: float) -> httpx2.AsyncClient:
    """Connections to one provider; a server on this machine is not asked through the environment's proxy."""
    transport = httpx2.AsyncHTTPTransport(limits=httpx2.Limits()) if is_loopback(base_url) else None
    times = httpx2.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds))
    http = create_async_httpx2_client(timeout=times, transport=transport)
    http.event_hooks = {**http.event_hooks, "response": [own_stream]}
    return http


def messages_of(call: ModelCall) -> list[ModelMessage]:
    """The conversation as pydantic-ai writes it; the instructions stand beside it, not in a turn."""
    instructions = call.instructions or None
    return [
        ModelRequest(parts=[UserPromptPart(content=turn.text)], instructions=instructions)
        if turn.role == "user"
        else ModelResponse(parts=[TextPart(content=turn.text)])
        for turn in call.turns
    ]


def settings_of(max_output_tokens: int, silence_seconds: float) -> RequestSettings:
    """No temperature, topP or topK: Gemini has given them up, and the models' own are best."""
    return RequestSettings(max_tokens=max_output_tokens, timeout=silence_seconds)


def parameters_of(call: ModelCall) -> ModelRequestParameters:
    if call.output_schema is None:
        return ModelRequestParameters()
    wanted = OutputObjectDefinition(json_schema=call.output_schema, name="answer")
    return ModelRequestParameters(output_mode="native", output_object=wanted, allow_text_output=True)


def _reply(response: ModelResponse, call: ModelCall, heard: Heard) -> ClientReply:
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    reason = str((response.provider_details or {}).get("finish_reason") or response.finish_reason)
    match response.finish_reason:
        case "stop" | "length":
            return _counted_reply(text, response.usage, call, truncated=response.finish_reason == "length")
        case "content_filter":
            details = response.provider_details or {}
            why = details.get("block_reason") or details.get("refusal") or reason
            raise RequestBlocked(str(why), billed=True, received_tokens=estimate_tokens(text or heard.text))
        case None if reason == "None":
            message = "its answer ended before it was complete"
        case _:
            message = f"its answer ended with {reason}"
    raise TemporarilyDown(message, billed=True, received_tokens=estimate_tokens(text))


def _counted_reply(text: str, usage: RequestUsage, call: ModelCall, *, truncated: bool) -> ClientReply:
    """With counts of our own where the server, as some local ones do, counts nothing."""
    thinking = next((usage.details[name] for name in _THINKING if name in usage.details), 0)
    return ClientReply(
        text=text,
        input_tokens=usage.input_tokens or estimate_input(call),
        output_tokens=max(0, usage.output_tokens - thinking) or estimate_tokens(text),
        thinking_tokens=thinking,
        truncated=truncated,
    )
