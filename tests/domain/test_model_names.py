"""Names, addresses, keys and limits of models, as people write them."""

from __future__ import annotations

import pytest

from nadg.domain.model_limits import NamedModelLimits, read_model_limits
from nadg.domain.model_names import checked_base_url, checked_model, flaw_of_key, parse_model


@pytest.mark.parametrize("name", ["google:gemini-3.5-flash-lite", "openai:hf.co/a/b:Q4_K_M", "openai:gemma3:270m"])
def test_a_name_is_provider_and_name(name: str) -> None:
    assert checked_model(name) == name
    parsed = parse_model(name)
    assert (str(parsed), f"{parsed.provider}:{parsed.name}") == (name, name)


@pytest.mark.parametrize(
    "name", ["", "gemini", "google:", ":x", "Google:x", "google:a b", "google:a\x1b", "google:" + "x" * 300]
)
def test_what_is_no_name_is_said_with_one_that_is(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no model; .*such as google:gemini-3\.5-flash-lite"):
        checked_model(name)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a",
        "localhost:80",
        "http://",
        "http://a b",
        "http://[",
        "http://u:pw@h/v1",
        "http://h:pw/",
        "http://h:0",
        "http://h/?key=pw",
    ],
)
def test_an_address_that_is_none_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the words differ, and none may show the address
        checked_base_url(url)
    assert "pw" not in str(caught.value)


def test_an_address_loses_its_last_slash() -> None:
    assert checked_base_url("http://127.0.0.1:11434/v1/") == "http://127.0.0.1:11434/v1"


@pytest.mark.parametrize("key", ["", "a b", "a\n", "schlüssel", "\x1b[2J"])
def test_an_unfit_key_is_not_shown(key: str) -> None:
    flaw = flaw_of_key(key)
    assert flaw is not None
    assert not key.strip() or key not in flaw


def test_keys_are_opaque() -> None:
    assert flaw_of_key("AQ.Ab8") is None
    assert flaw_of_key("AIza") is None


def test_limits_are_read_by_model() -> None:
    text = "google:a requests_per_minute=60  tokens_per_minute=250000 ; openai:b requests_per_day=1000;"
    assert read_model_limits(text) == (
        NamedModelLimits(model="google:a", requests_per_minute=60, tokens_per_minute=250_000),
        NamedModelLimits(model="openai:b", requests_per_day=1000),
    )
    assert read_model_limits(" ; ") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gemini requests_per_minute=1", "is no model"),
        ("google:a", "google:a is given no limit"),
        ("google:a rpm=1", "'rpm=1' is no limit of a model; the limits are requests_per_minute"),
        ("google:a requests_per_minute", "is no limit of a model"),
        ("google:a requests_per_minute=0", "requests_per_minute='0' does not fit"),
        ("google:a requests_per_minute=1.5", "give a whole number of 1 or more"),
        ("google:a requests_per_minute=" + "9" * 5000, "give a whole number of 1 or more"),
        ("google:a requests_per_minute=1 requests_per_minute=2", "requests_per_minute of google:a is given twice"),
        ("google:a requests_per_day=1; google:a tokens_per_minute=2", "google:a stands twice"),
    ],
)
def test_limits_that_do_not_fit_say_what_would(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_model_limits(text)
