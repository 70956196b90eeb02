"""The imitation of Gemini on the wire: addresses, keys, fields, streams, and how it starts and stops."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.support.gemini import (
    Answer,
    BlockPrompt,
    BreakOff,
    GeminiImitation,
    Hang,
    Request,
    Say,
    by_rule,
    run_in_thread,
    script_from_file,
)

KEY = {"x-goog-api-key": "test-key"}
LITE = "models/gemini-3.5-flash-lite"
ROOT = Path(__file__).parents[2]
BODY: dict[str, object] = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


@pytest.fixture(scope="module")
def gemini() -> Iterator[GeminiImitation]:
    script = by_rule(
        [
            ("blocked", BlockPrompt()),
            ("broken", BreakOff("a reply that is broken off", after=8, chunk=5)),
            (lambda request: request.model == "gemini-3.8-flash", Say("from 3.8")),
            ("", Say("hello to you, too", chunk=5)),
        ]
    )
    with run_in_thread(GeminiImitation(script)) as imitation:
        yield imitation


def post(gemini: GeminiImitation, path: str, body: object = BODY, **options: object) -> httpx.Response:
    headers = options.get("headers", KEY)
    assert isinstance(headers, dict)
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return httpx.post(f"{gemini.url}{path}", content=content, headers=headers)


def asking(text: str) -> dict[str, object]:
    return {"contents": [{"parts": [{"text": text}]}]}


def message_of(response: httpx.Response) -> str:
    message = response.json()["error"]["message"]
    assert isinstance(message, str)
    return message


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_both_versions_serve_both_methods(gemini: GeminiImitation, version: str) -> None:
    whole = post(gemini, f"/{version}/{LITE}:generateContent")
    assert whole.json()["candidates"] == [
        {
            "content": {"parts": [{"text": "hello to you, too"}], "role": "model"},
            "index": 0,
            "finishReason": "STOP",
        }
    ]
    stream = post(gemini, f"/{version}/{LITE}:streamGenerateContent?alt=sse")
    assert stream.headers["content-type"] == "text/event-stream"
    events = stream.text.split("\r\n\r\n")
    assert events.pop() == ""
    assert all(event.startswith("data: {") for event in events)
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    texts = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks]
    assert texts == ["hello", " to y", "ou, t", "oo"]
    assert [chunk["candidates"][0].get("finishReason") for chunk in chunks] == [None, None, None, "STOP"]
    assert [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in chunks] == [2, 3, 4, 5]
    assert chunks[-1]["usageMetadata"] == whole.json()["usageMetadata"]
    assert {chunk["modelVersion"] for chunk in chunks} == {"gemini-3.5-flash-lite"}


def test_the_key_is_taken_in_the_address_too(gemini: GeminiImitation) -> None:
    assert post(gemini, f"/v1/{LITE}:generateContent?key=test-key", headers={}).status_code == 200


def test_no_key_is_403_and_a_wrong_one_400(gemini: GeminiImitation) -> None:
    missing = post(gemini, f"/v1/{LITE}:generateContent", headers={})
    assert (missing.status_code, missing.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    wrong = post(gemini, f"/v1/{LITE}:generateContent", headers={"x-goog-api-key": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert "wrong" not in wrong.text


def test_aliases_are_served_on_v1beta_only(gemini: GeminiImitation) -> None:
    beta = post(gemini, "/v1beta/models/gemini-flash-latest:generateContent")
    assert beta.json()["modelVersion"] == "gemini-3.8-flash"
    stable = post(gemini, "/v1/models/gemini-flash-latest:generateContent")
    assert stable.status_code == 404
    assert message_of(stable).startswith("models/gemini-flash-latest is not found for API version v1, or is not")


def test_the_models_are_listed(gemini: GeminiImitation) -> None:
    listed = httpx.get(f"{gemini.url}/v1/models", headers=KEY).json()["models"]
    assert [one["name"] for one in listed] == [LITE, "models/gemini-3.8-flash"]
    assert httpx.get(f"{gemini.url}/v1/{LITE}", headers=KEY).json()["name"] == LITE
    assert httpx.get(f"{gemini.url}/v1/models/gemini-9", headers=KEY).status_code == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (BODY | {"prompt": "x"}, 'Unknown name "prompt": Cannot find field.'),
        (BODY | {"generationConfig": {"maxTokens": 5}}, "Unknown name \"maxTokens\" at 'generation_config'"),
        ({"contents": [{"parts": [{"txt": "x"}]}]}, "Unknown name \"txt\" at 'contents[0].parts[0]'"),
        ({"contents": [{"parts": [{"text": "x"}], "name": "x"}]}, "Unknown name \"name\" at 'contents[0]'"),
        (BODY | {"generationConfig": {"thinkingConfig": {"effort": 1}}}, 'Unknown name "effort" at'),
        ({"contents": []}, "contents is not specified"),
        ({}, "contents is not specified"),
        ({"contents": [{"parts": []}]}, "must not be empty"),
        ({"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
        (BODY | {"generationConfig": {"responseJsonSchema": {}}}, "response_mime_type application/json"),
        (BODY | {"generationConfig": {"maxOutputTokens": 0}}, "maxOutputTokens value of 0"),
        (b'{"contents": [', "Invalid JSON payload received."),
        (b"[]", "Invalid value at 'body'"),
    ],
)
def test_what_the_api_does_not_know_is_refused(gemini: GeminiImitation, body: object, message: str) -> None:
    served = len(gemini.requests)
    response = post(gemini, f"/v1beta/{LITE}:generateContent", body)
    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert message in message_of(response)
    assert len(gemini.requests) == served


def test_snake_case_is_read_like_camel_case(gemini: GeminiImitation) -> None:
    generation = {
        "max_output_tokens": 2,
        "response_mime_type": "application/json",
        "response_json_schema": {"a_b": 1},
    }
    thinking = {"thinking_config": {"thinking_level": "LOW"}}
    body = BODY | {"system_instruction": {"parts": [{"text": "s"}]}, "generation_config": generation | thinking}
    response = post(gemini, f"/v1beta/{LITE}:generateContent", body)
    assert response.json()["candidates"][0]["finishReason"] == "MAX_TOKENS"
    request = gemini.requests[-1]
    assert (request.system, request.json_schema, request.max_output_tokens) == ("s", {"a_b": 1}, 2)
    assert request.thinking == {"thinkingLevel": "LOW"}


def test_a_model_takes_only_its_thinking_levels(gemini: GeminiImitation) -> None:
    body = BODY | {"generationConfig": {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}}
    assert post(gemini, "/v1/models/gemini-3.8-flash:generateContent", body).status_code == 400
    assert post(gemini, f"/v1/{LITE}:generateContent", body).status_code == 200


def test_addresses_it_does_not_have(gemini: GeminiImitation) -> None:
    assert post(gemini, f"/v2/{LITE}:generateContent").status_code == 404
    assert post(gemini, f"/v1/{LITE}:embedContent").status_code == 404
    assert post(gemini, f"/v1/{LITE}:streamGenerateContent").status_code == 400


def test_a_blocked_prompt_and_an_error_in_mid_stream(gemini: GeminiImitation) -> None:
    blocked = post(gemini, f"/v1/{LITE}:generateContent", asking("blocked"))
    assert (blocked.status_code, blocked.json()["promptFeedback"]) == (200, {"blockReason": "SAFETY"})
    assert "candidates" not in blocked.json()
    broken = post(gemini, f"/v1/{LITE}:streamGenerateContent?alt=sse", asking("broken"))
    events = broken.text.strip().split("\r\n\r\n")
    assert (broken.status_code, len(events)) == (200, 3)
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == 503
    assert post(gemini, f"/v1/{LITE}:generateContent", asking("broken")).status_code == 503


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent?alt=sse"])
def test_a_paced_reply_takes_its_time_on_the_injected_clock(method: str) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    answer = Say("x" * 80, chunk=8, tokens_per_second=50, thoughts=10)
    with run_in_thread(GeminiImitation(by_rule([("", answer)]), sleep=sleep)) as gemini:
        assert post(gemini, f"/v1/{LITE}:{method}").status_code == 200
    expected = [0.6] if method == "generateContent" else [0.2] + [0.04] * 10
    assert waited == pytest.approx(expected)


def test_it_stops_while_it_hangs_and_leaves_nothing_behind() -> None:
    async def run() -> None:
        asked = asyncio.Event()

        def script(_: Request) -> Answer:
            asked.set()
            return Hang()

        before = asyncio.all_tasks()
        async with httpx.AsyncClient(timeout=None, headers=KEY) as client:
            async with GeminiImitation(script) as gemini:
                url = f"{gemini.url}/v1/{LITE}:generateContent"
                silent = asyncio.create_task(client.post(url, json=BODY))
                await asked.wait()
                assert not silent.done()
            with pytest.raises(httpx.RemoteProtocolError):
                await silent
            assert asyncio.all_tasks() == before
            with pytest.raises(httpx.ConnectError):
                await client.post(url, json=BODY)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_client_that_leaves_ends_the_wait() -> None:
    async def run() -> None:
        asked, left = asyncio.Event(), asyncio.Event()

        async def sleep(_: float) -> None:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

        script = by_rule([("", Say("never said", tokens_per_second=1))])
        async with (
            httpx.AsyncClient(timeout=None, headers=KEY) as client,
            GeminiImitation(script, sleep=sleep) as gemini,
        ):
            asking = asyncio.create_task(client.post(f"{gemini.url}/v1/{LITE}:generateContent", json=BODY))
            await asked.wait()
            asking.cancel()
            await left.wait()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_as_a_process_it_serves_a_script_file_and_records(tmp_path: Path) -> None:
    rules = [
        {"contains": "hello", "times": 1, "rate_limit": {"per": "minute", "retry_seconds": 3}},
        {"contains": "hello", "say": "second try"},
        {"system": "strict", "say": {"text": "very long", "finish": "SAFETY"}},
    ]
    (tmp_path / "script.json").write_text(json.dumps(rules))
    argv = [sys.executable, "-m", "tests.support.gemini", "--script", str(tmp_path / "script.json")]
    argv += ["--record", str(tmp_path / "requests.jsonl"), "--key", "its-key"]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        headers = {"x-goog-api-key": "its-key"}
        ask = f"{url}/v1beta/{LITE}:generateContent"
        first, second = (httpx.post(ask, json=BODY, headers=headers) for _ in range(2))
        assert first.status_code == 429
        assert second.json()["candidates"][0]["content"]["parts"] == [{"text": "second try"}]
        strict = asking("hi") | {"systemInstruction": {"parts": [{"text": "be strict"}]}}
        third = httpx.post(ask, json=strict, headers=headers)
        assert third.json()["candidates"][0]["finishReason"] == "SAFETY"
        assert httpx.post(ask, json=asking("other"), headers=headers).status_code == 500
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0
    recorded = (tmp_path / "requests.jsonl").read_text()
    assert [json.loads(line)["number"] for line in recorded.splitlines()] == [0, 1, 2, 3]
    assert "its-key" not in recorded


@pytest.mark.parametrize(
    "rules",
    [[{"contains": "x"}], [{"say": "a", "hang": {}}], [{"sya": "a"}], [{"fail": {"status": 500, "massage": "x"}}]],
    ids=["no answer", "two answers", "unknown rule field", "unknown answer field"],
)
def test_a_script_file_with_a_slip_is_refused(tmp_path: Path, rules: object) -> None:
    (tmp_path / "script.json").write_text(json.dumps(rules))
    with pytest.raises(ValueError, match=r"exactly one answer|unknown field"):
        script_from_file(tmp_path / "script.json")
