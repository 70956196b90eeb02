"""Names of models, the settings that name them, and what is said of those that cannot be asked."""

from __future__ import annotations

import pytest

from nadg.domain.errors import ModelRefused, UserError
from nadg.models.configuration import (
    ApiKey,
    ModelSettings,
    check_keys,
    check_models,
    is_loopback,
    is_near,
)

SECRET = "AQ.nobody-may-see-this"


def test_each_purpose_has_its_models_in_order_and_each_once() -> None:
    settings = ModelSettings(model="google:a", fallbacks=("google:b", "google:a"), plan_model="google:b")
    assert settings.models_for("prompt") == ("google:a", "google:b")
    assert settings.models_for("plan") == ("google:b", "google:a")
    assert ModelSettings(fallbacks=("google:b",)).models_for("plan") == ()


def test_the_setting_that_is_wrong_is_named() -> None:
    with pytest.raises(UserError, match=r"^NADG_MODEL_REPAIR: 'fixer' is no model"):
        check_models(ModelSettings(model="google:a", repair_model="fixer"))
    with pytest.raises(UserError, match=r"^NADG_MODEL_FALLBACKS: 'other'"):
        check_models(ModelSettings(model="google:a", fallbacks=("other",)))


def test_a_provider_without_a_key() -> None:
    with pytest.raises(ModelRefused) as raised:
        check_keys(ModelSettings(model="google:gemini-3.8-flash"))
    assert str(raised.value) == (
        "google:gemini-3.8-flash needs a key: set GEMINI_API_KEY (free at aistudio.google.com)"
    )
    check_keys(ModelSettings(model="google:gemini-3.8-flash", google_api_key=ApiKey("k")))
    check_keys(ModelSettings())


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost:11434/v1", True),
        ("http://[::1]:8080/v1", True),
        ("http://192.168.1.7:1234/v1", True),
        ("http://box.lan/v1", True),
        ("https://api.example.com/v1", False),
        ("http://8.8.8.8/v1", False),
        (None, False),
    ],
)
def test_only_near_servers_are_asked_without_a_key(url: str | None, fine: bool) -> None:
    settings = ModelSettings(model="openai:small", openai_base_url=url)
    if fine:
        check_keys(settings)
    else:
        with pytest.raises(ModelRefused, match="openai:small needs a key: set OPENAI_API_KEY"):
            check_keys(settings)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://x/v1", "http://", "http://[::1", "http://x:0/", "http://x:y/"]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(
        UserError, match=r"NADG_OPENAI_BASE_URL: it is no address; write http://HOST or https://HOST"
    ):
        check_keys(ModelSettings(openai_base_url=url))


def test_loopback_is_nearer_than_near() -> None:
    assert is_loopback("http://127.9.9.9/v1")
    assert is_near("http://10.0.0.1/v1")
    assert not is_loopback("http://10.0.0.1/v1")
    assert not is_loopback("http://127.0.0.1.example.com/v1")
    assert not is_near("http://127.0.0.1@example.com/v1")


def test_a_key_is_not_shown() -> None:
    settings = ModelSettings(model="google:a", google_api_key=ApiKey(SECRET), openai_api_key=ApiKey(SECRET))
    shown = f"{settings} {settings!r} {ApiKey(SECRET)} {ApiKey(SECRET)!r} {[ApiKey(SECRET)]}"
    assert SECRET not in shown
    assert ApiKey(f" {SECRET}\n").reveal() == SECRET
    assert not ApiKey(" ")
