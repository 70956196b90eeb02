"""docs/SETTINGS.md names every setting with its default and meaning, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from nadg.settings import Settings, variable_of

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", re.M)


def rows() -> dict[str, tuple[str, str]]:
    text = (ROOT / "docs" / "SETTINGS.md").read_text(encoding="utf-8")
    return {match[1]: (match[2], match[3].replace("`", "")) for match in ROW.finditer(text)}


def test_every_setting_is_documented_and_no_other() -> None:
    assert sorted(rows()) == sorted(variable_of(name) for name in Settings.model_fields)


def test_the_words_are_those_of_the_settings_themselves() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        words = field.description.split(";")[0].split(":")[0].replace("`", "")
        assert rows()[variable_of(name)][1].startswith(words), name


def test_the_defaults_are_true() -> None:
    for name, field in Settings.model_fields.items():
        shown = rows()[variable_of(name)][0].strip("`")
        if field.default is PydanticUndefined or field.default is None:
            continue
        default = "empty" if field.default in ("", ()) else str(field.default)
        expected = default.lower() if isinstance(field.default, bool) else default
        assert shown == expected, name


def test_the_example_file_names_only_settings_that_exist() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^# ([A-Z_]+)=", text, flags=re.M))
    assert {"NADG_HOME", "GEMINI_API_KEY"} <= named
    assert named <= set(rows())


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NADG_WORKER_URLS", "http://a:1, http://b:2,")
    monkeypatch.setenv("NADG_WORKERS", "3")
    settings = Settings()
    assert settings.worker_urls == ("http://a:1", "http://b:2")
    assert settings.workers == 3


def test_a_dot_env_file_counts_less_than_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("NADG_WORKERS=5\nNADG_LOG_LEVEL=info\n")
    monkeypatch.setenv("NADG_WORKERS", "3")
    assert (Settings().workers, Settings().log_level) == (3, "info")
