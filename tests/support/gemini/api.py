"""The API itself: addresses, keys and models, and one answer for each request, as an ASGI application."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from tests.support.gemini.answers import Answer, BlockPrompt, DropConnection, Fail, Hang, RateLimit, tokens_in
from tests.support.gemini.bodies import Speech, blocked_body, chunks_of, reply_body, speech_of, usage_of
from tests.support.gemini.errors import (
    ApiError,
    Json,
    bad_key,
    error_body,
    missing_key,
    rate_limited,
    unknown_model,
)
from tests.support.gemini.exchange import Exchange, Gone, Sleep
from tests.support.gemini.quota import Quota
from tests.support.gemini.requests import Request, Target, read_request
from tests.support.gemini.script import Script

_ADDRESS = re.compile(r"^/(v1|v1beta)/models(?:/([^/:]+))?(?::(\w+))?$")
_METHODS = {"generateContent": False, "streamGenerateContent": True}
DEFAULT_MODELS = ("gemini-3.5-flash-lite", "gemini-3.8-flash")
ALIASES = {"gemini-flash-lite-latest": "gemini-3.5-flash-lite", "gemini-flash-latest": "gemini-3.8-flash"}
"""Served on v1beta only."""


class GeminiApi:
    """What stands behind the address; `requests` are those that reached the script, in order.

    An exception of the script is kept in `script_error` and answered with 500.
    """

    def __init__(
        self,
        script: Script,
        *,
        api_key: str,
        quota: Quota | None,
        clock: Callable[[], float],
        sleep: Sleep,
        models: Iterable[str],
    ) -> None:
        self.requests: list[Request] = []
        self.script_error: Exception | None = None
        self.on_request: Callable[[Request], None] = lambda _: None
        self._script = script
        self._api_key = api_key
        self._quota = quota
        self._clock = clock
        self._sleep = sleep
        self._models = tuple(models)
        self._live: set[Exchange] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        exchange = Exchange(receive, send, self._sleep)
        self._live.add(exchange)
        try:
            await self._serve(scope, exchange)
        except ApiError as error:
            await exchange.answer(error.fail.status, error_body(error.fail))
        except Gone:
            await exchange.leave()
        finally:
            self._live.discard(exchange)
            await exchange.close()

    def stop(self) -> None:
        """Wake every answer that waits, so that the server can close."""
        for exchange in self._live:
            exchange.stop()

    async def _serve(self, scope: Scope, exchange: Exchange) -> None:
        query = parse_qs(scope["query_string"].decode())
        self._check_key(scope, query)
        address = _ADDRESS.match(scope["path"])
        if address is None:
            raise ApiError(Fail(404, message=f"The requested URL {scope['path']} was not found on this server."))
        version, model, method = address[1], address[2], address[3]
        if scope["method"] == "GET" and method is None:
            return await exchange.answer(200, self._listing(model, version))
        if scope["method"] != "POST" or method not in _METHODS or model is None:
            raise ApiError(Fail(404, message=f"The method {method} was not found."))
        if _METHODS[method] and query.get("alt") != ["sse"]:
            raise ApiError(Fail(400, message="The imitation streams with alt=sse only."))
        body = await exchange.body()
        self._check_model(model, version)
        target = Target(version=version, model=model, stream=_METHODS[method])
        await self._answer(exchange, read_request(body, target, number=len(self.requests), at=self._clock()))
        return None

    def _check_key(self, scope: Scope, query: dict[str, list[str]]) -> None:
        sent = dict(scope["headers"]).get(b"x-goog-api-key", b"").decode() or query.get("key", [""])[0]
        if not sent:
            raise ApiError(missing_key())
        if sent != self._api_key:
            raise ApiError(bad_key())

    def _check_model(self, model: str, version: str) -> None:
        if model not in self._models and not (version == "v1beta" and model in ALIASES):
            raise ApiError(unknown_model(model, version))

    def _listing(self, model: str | None, version: str) -> Json:
        if model is not None:
            self._check_model(model, version)
            return _model_entry(model)
        aliases = tuple(ALIASES) if version == "v1beta" else ()
        return {"models": [_model_entry(one) for one in (*self._models, *aliases)]}

    async def _answer(self, exchange: Exchange, request: Request) -> None:
        refusal = self._quota.refusal(request.model) if self._quota is not None else None
        if refusal is not None:
            raise ApiError(rate_limited(refusal, request.model))
        self.requests.append(request)
        self.on_request(request)
        answer = self._ask(request)
        match answer:
            case Fail():
                raise ApiError(answer)
            case RateLimit():
                raise ApiError(rate_limited(answer, request.model))
            case BlockPrompt(reason=reason):
                body = blocked_body(request, reason, _version_of(request))
                await (_stream_one(exchange, body) if request.stream else exchange.answer(200, body))
            case _:
                speech = speech_of(answer, request)
                await (_stream if request.stream else _reply)(exchange, request, speech)

    def _ask(self, request: Request) -> Answer:
        try:
            return self._script(request)
        except Exception as error:  # noqa: BLE001 - a test's own code; the imitation raises it again when it closes
            self.script_error = error
            return Fail(500, message=f"the script failed: {error!r}")


def _version_of(request: Request) -> str:
    return ALIASES.get(request.model, request.model)


def _model_entry(model: str) -> Json:
    methods = list(_METHODS)
    return {"name": f"models/{model}", "displayName": model, "supportedGenerationMethods": methods}


async def _stream_one(exchange: Exchange, body: Json) -> None:
    await exchange.event(body)
    await exchange.end()


async def _stream(exchange: Exchange, request: Request, speech: Speech) -> None:
    await exchange.pause(_seconds(speech, speech.thoughts))
    for piece, so_far, finish in chunks_of(speech):
        await exchange.pause(_seconds(speech, tokens_in(piece)))
        usage = usage_of(request, so_far, speech.thoughts)
        await exchange.event(reply_body(request, piece, usage, finish, _version_of(request)))
    match speech.broken_by:
        case Fail() as fail:
            await exchange.event(error_body(fail))
        case DropConnection():
            raise Gone
        case Hang():
            await exchange.hang()
    await exchange.end()


async def _reply(exchange: Exchange, request: Request, speech: Speech) -> None:
    await exchange.pause(_seconds(speech, speech.thoughts + tokens_in(speech.text)))
    usage = usage_of(request, speech.text, speech.thoughts)
    body = reply_body(request, speech.text, usage, speech.finish, _version_of(request))
    match speech.broken_by:
        case Fail() as fail:
            raise ApiError(fail)
        case DropConnection():
            await exchange.cut(body)
        case Hang():
            await exchange.hang()
        case None:
            await exchange.answer(200, body)


def _seconds(speech: Speech, tokens: int) -> float:
    return tokens / speech.tokens_per_second if speech.tokens_per_second else 0.0
