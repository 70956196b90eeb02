"""The three clients that one suite runs on: the fake, and the real ones against imitations over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from nadg.models.call import (
    ClientReply,
    ModelCall,
    ModelClient,
    RateLimited,
    RequestBlocked,
    RequestFailed,
    RequestRefused,
    TemporarilyDown,
    Turn,
)
from nadg.models.configuration import ApiKey, ModelSettings
from nadg.models.estimate import estimate_tokens
from nadg.models.fake_client import Answer, FakeClient
from nadg.models.google import create_google_client
from nadg.models.openai import create_openai_client
from tests.support import gemini
from tests.support.gemini import GeminiImitation, Request, Script, scripted
from tests.support.openai_imitation import OpenAIImitation

KEY = "test-key"
WRONG_KEY = "AQ.a-key-that-must-not-be-seen"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


class Sink:
    """Keeps what it hears; the number of pieces and restarts tell how."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.restarts = 0
        self.before: list[str] = []
        """What came before each restart."""

    def text(self, piece: str) -> None:
        self.pieces.append(piece)

    def restart(self) -> None:
        self.restarts += 1
        self.before.append(self.heard)
        self.pieces.clear()

    @property
    def heard(self) -> str:
        return "".join(self.pieces)


def call_of(text: str = "a question", **changes: Any) -> ModelCall:
    fields: dict[str, Any] = {"purpose": "prompt", "turns": (Turn(role="user", text=text),)}
    return ModelCall(**(fields | changes))


class Bench:
    """A client with what it is connected to; `requests` are those that reached the script."""

    def __init__(self, client: ModelClient, model: str, requests: Callable[[], list[Request]]) -> None:
        self.client, self.model, self._requests = client, model, requests

    @property
    def requests(self) -> list[Request]:
        return self._requests()

    async def ask(
        self, call: ModelCall | None = None, sink: Sink | None = None, most: int = 1000, model: str = ""
    ) -> ClientReply:
        return await self.client.exchange(model or self.model, call or call_of(), most, sink)

    async def failure(self, sink: Sink | None = None, model: str = "") -> RequestFailed:
        """The failure of a request that must not succeed."""
        try:
            reply = await self.ask(sink=sink, model=model)
        except RequestFailed as error:
            return error
        raise AssertionError(f"it answered: {reply}")


@asynccontextmanager
async def google_bench(
    *answers: gemini.Answer, script: Script | None = None, **settings: Any
) -> AsyncIterator[Bench]:
    async with GeminiImitation(script or scripted(answers), api_key=KEY) as server:
        fields: dict[str, Any] = {"google_api_key": ApiKey(KEY), "google_base_url": server.url}
        client = create_google_client(ModelSettings(**(fields | settings)))
        try:
            yield Bench(client, "gemini-3.5-flash-lite", lambda: server.requests)
        finally:
            await client.aclose()


@asynccontextmanager
async def openai_bench(
    *answers: gemini.Answer, script: Script | None = None, **settings: Any
) -> AsyncIterator[Bench]:
    async with OpenAIImitation(script or scripted(answers), api_key=KEY) as server:
        fields: dict[str, Any] = {"openai_api_key": ApiKey(KEY), "openai_base_url": server.url}
        client = create_openai_client(ModelSettings(**(fields | settings)))
        try:
            yield Bench(client, "small", lambda: server.requests)
        finally:
            await client.aclose()


@asynccontextmanager
async def fake_bench(*answers: gemini.Answer, **settings: Any) -> AsyncIterator[Bench]:
    client = FakeClient([_faked(one) for one in answers])
    yield Bench(client, "fake", list)


def _faked(answer: gemini.Answer) -> Answer:
    match answer:
        case gemini.Say():
            return Answer(text=answer.text, thinking_tokens=answer.thoughts)
        case gemini.RateLimit():
            return Answer(failure=RateLimited("slow down", retry_after=answer.retry_seconds, limit=answer.limit))
        case gemini.BlockPrompt():
            return Answer(failure=RequestBlocked("SAFETY", billed=True))
        case gemini.BreakOff() | gemini.DropConnection():
            text = answer.text[: answer.after]
            received = estimate_tokens(text)
            return Answer(text=text, failure=TemporarilyDown("broke off", billed=True, received_tokens=received))
        case gemini.Fail(status=400):
            return Answer(failure=RequestRefused(answer.message))
        case gemini.Hang():
            return Answer(text=answer.text, hangs=True)
        case _:
            return Answer(failure=TemporarilyDown("overloaded"))
