"""Models that are not there, refuse or stay silent: one clear sentence each, nothing lost, nothing left."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.cli.model_terminal import GOOD, KEY, LITE, Terminal, prepare, prompt
from tests.support.gemini import Answer, BlockPrompt, Fail, Hang, RateLimit, Say, Truncate
from tests.support.nadg_folder import ended, read_until


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    prepare(tmp_path, monkeypatch)
    return Terminal(capsys, monkeypatch)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["plan", "x", "--planner", "model"],
            "--planner model: no language model is configured; set GEMINI_API_KEY",
        ),
        (["plan", "x", "--model", LITE], f"{LITE} needs a key: set GEMINI_API_KEY (free at aistudio.google.com)"),
        (["run", "x", "--model", "openai:x"], "openai:x needs a key: set OPENAI_API_KEY (or NADG_OPENAI_BASE_URL"),
        (["run", "--plan", "asks.yaml"], "subtasks[0].work.kind: prompt work needs a language model, and none is"),
        (
            ["plan", "x", "--planner", "builtin", "--model", LITE],
            f"--planner builtin asks no model, and --model {LITE}",
        ),
    ],
)
def test_without_a_key(arguments: list[str], sentence: str, terminal: Terminal) -> None:
    assert terminal.refused(2, *arguments).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "NADG_MODEL",
            "gemini",
            "'gemini' is no model; write PROVIDER:NAME with google or openai, such as google:",
        ),
        ("NADG_MODEL_PLAN", "gogle:x", "'gogle:x' is no model"),
        ("NADG_MODEL_FALLBACKS", f"{LITE},b", "'b' is no model"),
        (
            "NADG_MODEL_LIMITS",
            f"{LITE} rpm=1",
            "'rpm=1' is no limit of a model; the limits are requests_per_minute",
        ),
        ("NADG_GOOGLE_BASE_URL", "localhost:80", "it is no address; write http://HOST or https://HOST"),
        ("NADG_GOOGLE_BASE_URL", "http://h:port/", "it is no address; write http://HOST or https://HOST"),
        ("NADG_OPENAI_BASE_URL", f"http://me:{KEY}@h/v1", "it holds a name or a password; take them out"),
        ("NADG_MODEL_TIMEOUT_SECONDS", "0", "input should be greater than 0"),
        ("GEMINI_API_KEY", f"{KEY} {KEY}", "a key is printable ASCII without spaces; copy it again"),
    ],
)
def test_settings_that_do_not_fit(
    name: str, value: str, sentence: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    said = terminal.refused(2, "plan", "x")
    assert said.startswith(f"{name}")
    assert f": {sentence}" in said
    assert said.endswith("; see docs/SETTINGS.md")


def test_every_problem_of_prompts_in_a_plan_file(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text(
        json.dumps(
            {
                "subtasks": [
                    prompt(model="openai:x"),
                    prompt(model="x", output_schema={"type": "odd"}) | {"id": "b"},
                ]
            }
        )
    )
    with terminal.before():
        code, _, err = terminal.run("run", "--plan", "odd.json")
    assert (code, err.splitlines()) == (
        2,
        [
            "nadg: the plan has 3 problems:",
            "  subtasks[0].work.model: openai:x needs a key: set OPENAI_API_KEY (or NADG_OPENAI_BASE_URL for a "
            "server of your own)",
            "  subtasks[1].work.output_schema: it is no JSON Schema at ['type']: 'odd' is not valid under any of "
            "the given schemas; mend it there",
            "  subtasks[1].work.model: 'x' is no model; write PROVIDER:NAME with google or openai, such as "
            "google:gemini-3.5-flash-lite",
        ],
    )


@pytest.mark.parametrize(
    ("answers", "code", "sentence"),
    [
        ([BlockPrompt()], 1, f"a content filter of {LITE} stopped the request (SAFETY); word it otherwise"),
        (
            [Truncate(GOOD, at=20)] * 2,
            1,
            f"the answer of {LITE} was cut off at 32,768 tokens; ask for less at a time",
        ),
        ([Fail(400, message="No.")], 2, f"{LITE} refuses the request (No); ask otherwise, or name another model"),
    ],
)
def test_a_provider_that_gives_no_plan(
    answers: list[Answer], code: int, sentence: str, terminal: Terminal
) -> None:
    assert terminal.facing(answers, code, "run", "say it", "--workers", "1").startswith(sentence)


def test_a_wrong_key_and_an_unknown_model(terminal: Terminal) -> None:
    said = terminal.facing([], 2, "plan", "say it", key="AQ.another-key")
    assert said == (
        f"{LITE} refuses the key in GEMINI_API_KEY (API key not valid. Please pass a valid API key); "
        "set GEMINI_API_KEY to one that works"
    )
    said = terminal.facing([], 2, "plan", "say it", "--model", "google:gemini-99")
    assert said.startswith("there is no model google:gemini-99 (models/gemini-99 is not found")
    assert said.endswith("; name another (--model or NADG_MODEL)")


def test_budgets_that_cannot_be_kept(terminal: Terminal) -> None:
    said = terminal.facing([], 2, "plan", "x", "--model", "google:unheard-of", "--budget-usd", "1")
    assert said == (
        "--budget-usd: the price of google:unheard-of is not known, so a budget in dollars cannot be kept; "
        "give --budget-tokens instead of --budget-usd"
    )
    said = terminal.facing([], 1, "plan", "x", "--budget-tokens", "100")
    assert re.match(r"the run's budget of 100 tokens has no room for another request .*: 0 are spent and it", said)


def test_a_provider_that_is_silent(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NADG_MODEL_TIMEOUT_SECONDS", "0.2")
    said = terminal.facing([Hang()] * 3, 1, "plan", "say it", "--planner", "model")
    assert said == (
        f"{LITE} gave no answer in 3 tries: it had not answered to the end after 0.2 s; "
        "NADG_MODEL_TIMEOUT_SECONDS gives it longer"
    )


def test_nobody_answers(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("NADG_GOOGLE_BASE_URL", address)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    asked = ("plan", "Analyze the sentiment of the reviews", "--input", "reviews.csv")
    down = f"{LITE} gave no answer in 3 tries: it cannot be reached (All connection attempts failed); check NADG_"
    code, out, err = terminal.run(*asked)
    assert code == 0
    assert err.startswith(down)
    assert err.splitlines()[0].endswith("; the built-in planner plans instead")
    assert err.splitlines()[1:] == ["Models: 0 answers, 0 tokens in, 0 out, $0.0000, 3 requests failed"]
    assert "skill text.sentiment" in out
    assert terminal.refused(1, *asked, "--planner", "model").startswith(down)


@pytest.mark.parametrize("command", [["run", "say it", "--workers", "1"], ["plan", "say it"]])
def test_a_day_that_is_used_up_says_until_when_and_ctrl_c_ends_the_wait(
    command: list[str], terminal: Terminal
) -> None:
    with terminal.before(RateLimit(per="day")):
        run = subprocess.Popen(
            [sys.executable, "-m", "nadg", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            read_until(
                run.stderr, r"allows no more requests today; the run waits until \d{4}-\d\d-\d\d \d\d:\d\d UTC"
            )
            family = psutil.Process(run.pid).children(recursive=True)
            run.send_signal(signal.SIGINT)
            code, out, err = ended(run)
        finally:
            run.kill()
    assert (code, out) == (130, ""), err
    assert err.splitlines()[-1] == "Cancelled; nothing was run."
    assert "Traceback" not in err
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert terminal.run("runs", "list")[0] == 0


def test_planning_tells_what_it_took_and_may_be_quiet(terminal: Terminal) -> None:
    with terminal.before(Say(GOOD), Say(GOOD)):
        code, out, err = terminal.run("plan", "say it", "--budget-tokens", "90000")
        assert (code, err.count("\n")) == (0, 1)
        assert re.match(r"Models: 1 answer, [\d,]+ tokens in, [\d,]+ out.*, \$0\.\d+, google:", err)
        assert "above the budget" not in out
        code, out, err = terminal.run("plan", "say it again", "--quiet", "--json", "--no-cache")
        assert (code, err) == (0, "")
        assert json.loads(out)["answer"] == "a"


def test_an_estimate_above_the_budget_is_told(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "many.json").write_text(
        json.dumps({"subtasks": [prompt() | {"foreach": {"items": list(range(100))}}]})
    )
    with terminal.before():
        _, out, _ = terminal.run("plan", "--plan", "many.json", "--budget-tokens", "1000")
    assert out.splitlines()[-1] == (
        "the estimate is above the budget of 1,000 tokens; the run will stop when it is used up"
    )
