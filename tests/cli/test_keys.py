"""Keys of model providers: read from their own variables, shown nowhere, kept from workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from nadg.cli.main import run_command_line
from nadg.settings import Settings, unknown_variables

KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY")
SECRET = "AQ.do-not-show-me"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    for name in (*KEYS, "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("name", KEYS)
def test_a_key_stands_in_no_text_of_the_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, SECRET)
    settings = Settings()
    found = getattr(settings, name.lower())
    assert found.get_secret_value() == SECRET
    texts = (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump()), f"{found}")
    assert [text for text in texts if SECRET in text] == []


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_an_unfit_key_is_named_and_not_shown_even_with_debug(
    name: str, place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unfit = f"{SECRET} and spaces"
    if place == ".env":
        Path(".env").write_text(f"{name}={unfit}\n")
    else:
        monkeypatch.setenv(name, unfit)
    assert run_command_line(["runs", "list", "--debug"]) == 2
    text = capsys.readouterr().err
    assert text.splitlines()[-1].startswith(f"nadg: {name}: a key is printable ASCII without spaces")
    assert SECRET not in text


def test_the_error_itself_does_not_hold_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", f"{SECRET} and spaces")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert SECRET not in f"{caught.value} {caught.value!r}"


def test_a_value_next_to_an_unfit_one_is_not_shown_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", SECRET)
    monkeypatch.setenv("NADG_MODEL", "gemini")
    assert run_command_line(["runs", "list", "--debug"]) == 2
    text = capsys.readouterr().err
    assert "NADG_MODEL: 'gemini' is no model" in text
    assert SECRET not in text


def test_keys_come_from_dot_env_too_and_the_base_url_from_either_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"GEMINI_API_KEY={SECRET}\nOPENAI_BASE_URL=http://a/v1\n")
    settings = Settings()
    assert settings.gemini_api_key is not None
    assert settings.gemini_api_key.get_secret_value() == SECRET
    assert settings.openai_base_url == "http://a/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://b/v1")
    monkeypatch.setenv("NADG_OPENAI_BASE_URL", "http://c/v1")
    assert Settings().openai_base_url == "http://c/v1"


def test_a_key_under_our_prefix_counts_too_and_the_providers_name_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NADG_GEMINI_API_KEY", SECRET)
    found = Settings().gemini_api_key
    assert found is not None
    assert found.get_secret_value() == SECRET
    assert unknown_variables() == {}
    monkeypatch.setenv("GEMINI_API_KEY", "another")
    found = Settings().gemini_api_key
    assert found is not None
    assert found.get_secret_value() == "another"


@pytest.fixture
def up(home: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, **dict.fromkeys(KEYS, SECRET), "NADG_OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    command = [sys.executable, "-m", "nadg", "up", "--workers", "1"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    yield process
    process.terminate()
    process.communicate(timeout=30)


def test_no_process_of_a_worker_is_given_a_key(up: subprocess.Popen[str], home: Path) -> None:
    assert up.stdout is not None
    assert up.stdout.readline().startswith("ready: 1 worker")
    assert SECRET in psutil.Process(up.pid).environ().values(), "the master itself has them"
    family = psutil.Process(up.pid).children(recursive=True)
    assert family
    for process in family:
        assert SECRET not in json.dumps([process.environ(), process.cmdline()])
        assert "NADG_OPENAI_BASE_URL" not in process.environ()
    written = [path for path in (home / "home").rglob("*") if path.is_file()]
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
