"""A server that is not the provider's API: the setting that names it is to be looked at, not the model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nadg.domain.errors import ModelRefused
from nadg.models.call import RequestRefused
from nadg.models.configuration import ApiKey, ModelSettings
from nadg.models.sentences import model_error
from tests.models.clients import KEY, call_of
from tests.models.doors import LITE, LOCAL, NotingAccount, gemini_house, open_house
from tests.models.test_client_edges import answering, odd_server
from tests.support.gemini import GeminiImitation, scripted

PAGE = b"<!DOCTYPE html><html><title>Error 404 (Not Found)</title>The requested model page was not found.</html>"
GOOGLE_S = (
    b'{"error": {"code": 404, "status": "NOT_FOUND", "message": '
    b'"The requested URL /v1/v1beta/models/m:generateContent was not found on this server."}}'
)
EXPRESS_S = b"Cannot POST /v1/models/small:generateContent"
LLAMA_S = b'{"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}'
FASTAPI_S = b'{"detail": "Not Found"}'
ODD = b'{"code": 5}'


async def sentence_of(url: str, model: str) -> str:
    """What a user is told who asks this model there."""
    provider = model.partition(":")[0]
    at: dict[str, Any] = {f"{provider}_base_url": url, f"{provider}_api_key": ApiKey(KEY)}
    async with open_house(model=model, **at) as house:
        with pytest.raises(ModelRefused) as raised:
            await house.door.ask(call_of(), NotingAccount())
    return str(raised.value)


@pytest.mark.parametrize("model", [LITE, LOCAL])
@pytest.mark.parametrize("said", [PAGE, GOOGLE_S, EXPRESS_S, LLAMA_S, FASTAPI_S, ODD])
def test_the_setting_is_named(model: str, said: bytes) -> None:
    async def body() -> None:
        kind = "application/json" if said.startswith(b"{") else "text/html"
        async with odd_server(answering("404 Not Found", said, kind)) as url:
            sentence = await sentence_of(url, model)
        setting = f"NADG_{model.partition(':')[0].upper()}_BASE_URL"
        assert sentence.startswith(f"{model} is not found (")
        assert sentence.endswith(f"); is {setting} right?")
        assert "<" not in sentence

    asyncio.run(body())


def test_a_path_too_much_before_the_api() -> None:
    async def body() -> None:
        async with GeminiImitation(scripted([]), api_key=KEY) as server:
            sentence = await sentence_of(f"{server.url}/gemini", LITE)
        assert sentence.endswith("; is NADG_GOOGLE_BASE_URL right?")

    asyncio.run(body())


@pytest.mark.parametrize("said", ["The model `small` does not exist", "model 'small' not found, try pulling it"])
def test_a_model_that_the_server_does_not_know_is_the_model_s_matter(said: str) -> None:
    async def body() -> None:
        document = f'{{"error": {{"message": "{said}", "code": "model_not_found"}}}}'.encode()
        async with odd_server(answering("404 Not Found", document)) as url:
            sentence = await sentence_of(url, LOCAL)
        assert sentence == f"there is no model {LOCAL} ({said}); name another (--model or NADG_MODEL)"

    asyncio.run(body())


def test_at_the_provider_s_own_address_no_setting_is_named() -> None:
    failure = model_error(LITE, RequestRefused("gone", about="address"), ModelSettings(model=LITE))
    assert str(failure).startswith(f"there is no model {LITE} (gone)")


def test_an_unknown_gemini_is_still_named() -> None:
    async def body() -> None:
        async with gemini_house(model="google:gemini-9") as house:
            with pytest.raises(ModelRefused, match=r"^there is no model google:gemini-9"):
                await house.door.ask(call_of(), NotingAccount())

    asyncio.run(body())
