"""Options about language models: what does not fit is one sentence, and what fits becomes a wish."""

from __future__ import annotations

from pathlib import Path

import pytest

from nadg.bootstrap.asked import ModelWishes
from nadg.cli.main import run_command_line
from nadg.cli.wishes import checked_wishes
from nadg.domain.model_calls import Budget
from nadg.settings import Settings

KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "NADG_MODEL", "NADG_PLANNER")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command_line(arguments) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert (streams.err.startswith("nadg: "), streams.err.count("\n")) == (True, 1), streams.err
    return streams.err


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--budget-usd", "0"], "--budget-usd: 0 is no budget; give US dollars above 0, such as 0.50"),
        (["--budget-usd", "-2.5"], "--budget-usd: -2.5 is no budget"),
        (["--budget-usd", "nan"], "--budget-usd: nan is no budget"),
        (["--budget-usd", "inf"], "--budget-usd: inf is no budget"),
        (["--budget-usd", "much"], "--budget-usd: much is no budget; give US dollars above 0, such as 0.50"),
        (["--budget-tokens", "0"], "--budget-tokens: 0 is no budget; give 1 or more tokens, such as 100000"),
        (["--budget-tokens", "1.5"], "--budget-tokens: 1.5 is no budget; give 1 or more tokens"),
        (
            ["--budget-usd", "1"],
            "--budget-usd bounds what models cost, and none is configured; set GEMINI_API_KEY",
        ),
        (
            ["--budget-tokens", "9", "--model", "none"],
            "--budget-tokens bounds what models cost, and --model none wants none; drop one of them",
        ),
        (["--planner", "me"], "'--planner'"),
        (["--model", "gemini"], "--model: 'gemini' is no model; write PROVIDER:NAME with google or openai"),
        (["--model", "azure:x"], "--model: 'azure:x' is no model"),
        (["--model", "google:"], "--model: 'google:' is no model"),
        (["--model", "google:a b"], "a name has no spaces"),
        (["--model", ""], "--model: '' is no model"),
        (["--planner", "model"], "--planner model: no language model is configured; set GEMINI_API_KEY"),
        (["--planner", "model", "--model", "none"], "--model none wants none; drop one of them"),
        (["--planner", "builtin", "--plan", "p.yaml"], "not both: the file is the plan"),
    ],
)
def test_options_that_do_not_fit(
    command: str, options: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refused(capsys, command, "summarise", *options)


@pytest.mark.parametrize("number", ["-1", "6", "many"])
def test_repairs_are_few(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "run", "x", "--repair", number)
    assert said == f"nadg: --repair: {number} does not fit; give a whole number from 0 to 5\n"


def test_repairs_without_a_model_are_refused_before_anything_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Path("plan.yaml").write_text("subtasks: [{id: a, work: {kind: python, code: 'result = 1'}}]")
    said = refused(capsys, "run", "--plan", "plan.yaml", "--repair", "2", "--model", "none")
    why = "--model none wants none; drop one of them, or name a model"
    assert said == f"nadg: --repair: code is mended by a model, and {why}\n"
    assert "and none is configured" in refused(capsys, "run", "--plan", "plan.yaml", "--repair", "1")


def test_a_setting_that_wants_a_model_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NADG_PLANNER", "model")
    assert "NADG_PLANNER=model: no language model is configured" in refused(capsys, "plan", "x")


def test_a_plan_file_needs_no_model_whatever_the_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NADG_PLANNER", "model")
    Path("plan.yaml").write_text("subtasks: [{id: a, work: {kind: python, code: 'result = 1'}}]")
    assert run_command_line(["plan", "--plan", "plan.yaml"]) == 0


def test_what_fits_is_a_wish() -> None:
    found = checked_wishes(
        Settings(),
        planner="model",
        model="openai:gemma3",
        budget_usd=0.5,
        budget_tokens=1000,
        no_cache=True,
        repairs=0,
        from_file=False,
    )
    assert found == ModelWishes(
        planner="model",
        model="openai:gemma3",
        budget=Budget(usd=0.5, tokens=1000),
        use_cache=False,
        repairs=0,
    )
