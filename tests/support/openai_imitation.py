"""An imitation of OpenAI's chat completions over real HTTP on loopback, answered by the scripts of the Gemini one.

`BlockPrompt` is an answer that ends with `content_filter`, `RateLimit(per="day")` is `insufficient_quota`.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgspec
from starlette.types import Receive, Scope, Send

from tests.support.gemini import BlockPrompt, DropConnection, Fail, Hang, RateLimit, Request, Script, tokens_in
from tests.support.gemini.bodies import Speech, chunks_of, speech_of
from tests.support.gemini.errors import Json
from tests.support.gemini.exchange import Exchange, Gone
from tests.support.gemini.server import _LoopbackServer, _uvicorn_config

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}
_KNOWN = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "response_format",
        "temperature",
        "top_p",
    }
)
DEFAULT_MODELS = ("small",)


class Refused(Exception):
    """An error of the API."""

    def __init__(
        self, status: int, message: str, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after
        kind = "insufficient_quota" if code == "insufficient_quota" else "invalid_request_error"
        self.body: Json = {"error": {"message": message, "type": kind, "param": None, "code": code}}


class OpenAIImitation:
    """`async with OpenAIImitation(script) as server:`, then point a client at `server.url`."""

    def __init__(
        self, script: Script, *, api_key: str | None = "test-key", models: tuple[str, ...] = DEFAULT_MODELS
    ) -> None:
        self.requests: list[Request] = []
        self.connections: set[object] = set()
        """Peers that requests came from; one for all shows that the connection is kept."""
        self.on_request: Callable[[Request], None] = lambda _: None
        self._script, self._api_key, self._models = script, api_key, models
        self._live: set[Exchange] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0))
        self._port = listener.getsockname()[1]
        self._server = _LoopbackServer(_uvicorn_config(self), on_stop=self._stop)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.started_event.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        await self._serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Sending(receive, send, asyncio.sleep)
        self._live.add(exchange)
        self.connections.add(scope["client"])
        try:
            await self._serve(scope, exchange)
        except Refused as error:
            await exchange.refuse(error)
        except Gone:
            await exchange.leave()
        finally:
            self._live.discard(exchange)
            await exchange.close()

    def _stop(self) -> None:
        for exchange in self._live:
            exchange.stop()

    async def _serve(self, scope: Scope, exchange: Sending) -> None:
        body = json.loads(await exchange.body())
        sent = dict(scope["headers"]).get(b"authorization", b"").decode()
        if self._api_key is not None and sent != f"Bearer {self._api_key}":
            raise Refused(401, f"Incorrect API key provided: {sent.removeprefix('Bearer ')}.", "invalid_api_key")
        if scope["path"] != "/v1/chat/completions":
            raise Refused(404, f"no such address: {scope['path']}")
        request = self._read(body)
        self.requests.append(request)
        self.on_request(request)
        await self._answer(exchange, request)

    def _read(self, body: dict[str, Any]) -> Request:
        if unknown := set(body) - _KNOWN:
            raise Refused(400, f"Unrecognized request argument supplied: {', '.join(sorted(unknown))}")
        if body["model"] not in self._models:
            raise Refused(404, f"The model `{body['model']}` does not exist", "model_not_found")
        form = body.get("response_format", {})
        if form and form.get("type") != "json_schema":
            raise Refused(400, "response_format: the imitation knows json_schema only")
        turns = [(one["role"], _text_of(one["content"])) for one in body["messages"]]
        return Request(
            number=len(self.requests),
            at=0.0,
            model=body["model"],
            version="v1",
            stream=bool(body.get("stream")),
            system="\n".join(text for role, text in turns if role in ("system", "developer")),
            contents=tuple(one for one in turns if one[0] in ("user", "assistant")),
            json_schema=form["json_schema"]["schema"] if form else None,
            max_output_tokens=body.get("max_tokens", body.get("max_completion_tokens")),
            thinking=None,
            raw=body,
        )

    async def _answer(self, exchange: Sending, request: Request) -> None:
        answer = self._script(request)
        match answer:
            case Fail():
                raise Refused(answer.status, answer.message, answer.code or None)
            case RateLimit(per="day"):
                raise Refused(
                    429, "You exceeded your current quota, please check your plan.", "insufficient_quota"
                )
            case RateLimit():
                raise Refused(429, "Rate limit reached", "rate_limit_exceeded", answer.retry_seconds)
            case BlockPrompt():
                speech = Speech(text="", chunk=12, finish="SAFETY")
            case _:
                speech = speech_of(answer, request)
        await (_stream if request.stream else _reply)(exchange, request, speech)


class Sending(Exchange):
    """The sending half, with what OpenAI has besides: headers of errors and the end of a stream."""

    async def refuse(self, error: Refused) -> None:
        data = msgspec.json.encode(error.body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
        if error.retry_after is not None:
            headers.append((b"retry-after", f"{error.retry_after:g}".encode()))
        await self._send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": data})

    async def done(self) -> None:
        await self._send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": True})
        await self.end()


async def _stream(exchange: Sending, request: Request, speech: Speech) -> None:
    for piece, _, finish in chunks_of(speech):
        ended = None if finish is None else _FINISH.get(finish, finish)
        choice: Json = {"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": ended}
        await exchange.event(_body(request, "chat.completion.chunk", [choice]))
    match speech.broken_by:
        case Fail() as fail:
            await exchange.event(Refused(fail.status, fail.message, "server_is_overloaded").body)
        case DropConnection():
            raise Gone
        case Hang():
            await exchange.hang()
    if request.raw.get("stream_options") == {"include_usage": True}:
        await exchange.event(_body(request, "chat.completion.chunk", []) | {"usage": _usage(request, speech)})
    await exchange.done()


async def _reply(exchange: Sending, request: Request, speech: Speech) -> None:
    message: Json = {"role": "assistant", "content": speech.text}
    ended = _FINISH.get(speech.finish or "", speech.finish)
    choice: Json = {"index": 0, "message": message, "finish_reason": ended}
    body = _body(request, "chat.completion", [choice]) | {"usage": _usage(request, speech)}
    match speech.broken_by:
        case Fail() as fail:
            raise Refused(fail.status, fail.message)
        case DropConnection():
            await exchange.cut(body)
        case Hang():
            await exchange.hang()
        case None:
            await exchange.answer(200, body)


def _body(request: Request, kind: str, choices: list[Json]) -> Json:
    return {"id": f"c{request.number}", "object": kind, "created": 0, "model": request.model, "choices": choices}


def _usage(request: Request, speech: Speech) -> Json:
    asked, written = tokens_in(request.system + request.text), tokens_in(speech.text) + speech.thoughts
    details = {"reasoning_tokens": speech.thoughts}
    counts = {"prompt_tokens": asked, "completion_tokens": written, "total_tokens": asked + written}
    return counts | {"completion_tokens_details": details}


def _text_of(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content)
