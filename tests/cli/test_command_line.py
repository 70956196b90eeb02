"""Parsing and bad input: one sentence on standard error, the right exit code, never a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nadg.cli.failure import exit_code_of, first_cause, sentence_of
from nadg.cli.inputs import checked_out_folder, default_out_folder, input_files
from nadg.cli.interrupt import Interruption
from nadg.cli.main import run_command_line
from nadg.domain.errors import LeaseLost, NotFound, PlanInvalid, UserError
from nadg.domain.problems import Problem


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command line that must be refused; returns its one sentence."""
    assert run_command_line(arguments) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "Traceback" not in streams.err
    assert streams.err.startswith("nadg: ")
    assert streams.err.count("\n") == 1
    return streams.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fly"], "No such command 'fly'"),
        (["run", "--wrong"], "--wrong"),
        (["run", "--workers", "many", "x"], "'--workers'"),
        (["run", "x", "--timeout", "-1"], "'--timeout'"),
        (["run"], "say what to do"),
        (["run", "  "], "the command is empty"),
        (["plan", ""], "the command is empty"),
        (["run", "x", "--plan", "y.yaml"], "not both"),
        (["run", "--plan", "missing.yaml"], "'missing.yaml' (looked in "),
        (["run", "x", "--input", "missing.csv"], "'missing.csv'"),
        (["run", "x", "--min-sandbox", "paper"], "'--min-sandbox'"),
        (["run", "x", "--min-sandbox", "vm"], "'--min-sandbox': 'vm' is not one of"),
        (["run", "--plan", "/etc"], "--plan: '/etc' is a folder; name a plan file in it\n"),
        (["run", "--plan", "/dev/null"], "--plan: '/dev/null' is no regular file"),
        (["run", "--plan", "/missing.yaml"], "--plan: there is no file '/missing.yaml'; check the path\n"),
        (["run", "x", "--input", "/missing.csv"], "no file or folder '/missing.csv'; check the path\n"),
        (["run", "x", "--out", "/proc/x"], "--out: the folder '/proc/x' cannot be made"),
        (["run", "x", "--out", "y" * 300], "cannot be made (File name too long)"),
        (["workers"], "Missing command"),
        (["workers", "status", "1", "asleep"], "asleep"),
        (["plan", "x", "--input", "nowhere"], "'nowhere'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refused(capsys, *arguments)


def test_an_unfit_setting_is_named_without_its_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NADG_WORKERS", "s3cret")
    text = refused(capsys, "run", "x")
    assert "NADG_WORKERS" in text
    assert "s3cret" not in text


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["version"]) == 0
    assert capsys.readouterr().out.startswith("nadg 0.")
    assert run_command_line([]) == 0
    text = capsys.readouterr().out
    for command in ("run", "plan", "up", "worker", "workers", "runs", "skills", "version"):
        assert f"\n  {command} " in text


def test_help_of_a_fresh_process_is_quick_and_clean() -> None:
    done = subprocess.run([sys.executable, "-m", "nadg", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: nadg ")
    assert done.stderr == ""


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m nadg run --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["run", "x", "--input", "missing.csv", "--debug"]) == 2
    text = capsys.readouterr().err
    assert "Traceback (most recent call last)" in text
    assert text.splitlines()[-1].startswith("nadg: --input: there is no file")


def test_exit_codes_of_errors() -> None:
    assert [exit_code_of(UserError("x")), exit_code_of(NotFound("x"))] == [2, 2]
    assert [exit_code_of(LeaseLost("x")), exit_code_of(ZeroDivisionError("x"))] == [1, 1]


def test_every_problem_of_a_plan_is_a_line() -> None:
    problems = [Problem(place=f"subtasks[{one}].id", message="bad \x1b[2J") for one in range(2)]
    expected = ["the plan has 2 problems:", "  subtasks[0].id: bad \\x1b[2J", "  subtasks[1].id: bad \\x1b[2J"]
    assert sentence_of(PlanInvalid(problems)).splitlines() == expected
    assert sentence_of(PlanInvalid(problems[:1])) == "subtasks[0].id: bad \\x1b[2J"


def test_of_several_errors_the_one_raised_on_purpose_is_told() -> None:
    group = BaseExceptionGroup("x", [ValueError("deep"), ExceptionGroup("y", [UserError("say this")])])
    assert sentence_of(first_cause(group)) == "say this"


def test_an_unforeseen_error_says_how_to_see_more() -> None:
    text = sentence_of(ZeroDivisionError("division\nby zero"))
    assert text.startswith("something went wrong inside NADG (ZeroDivisionError: division by zero)")
    assert "--debug" in text


def test_a_folder_stands_for_its_files(home: Path) -> None:
    folder = home / "data"
    folder.mkdir()
    for name in ("b.csv", "a.csv", ".hidden"):
        (folder / name).touch()
    (folder / "inner").mkdir()
    assert [one.name for one in input_files([folder])] == ["a.csv", "b.csv"]
    assert [one.name for one in input_files([folder, folder / "a.csv"])] == ["a.csv", "b.csv"]


def test_inputs_that_clash_or_hold_nothing_are_refused(home: Path) -> None:
    for name in ("one", "two", "empty"):
        (home / name).mkdir()
    (home / "one" / "a.csv").touch()
    (home / "two" / "a.csv").touch()
    with pytest.raises(UserError, match=r"same name 'a\.csv'"):
        input_files([home / "one", home / "two"])
    with pytest.raises(UserError, match="holds no files"):
        input_files([home / "empty"])
    os.mkfifo(home / "pipe")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        input_files([home / "pipe"])


def test_the_out_folder_must_be_free(home: Path) -> None:
    assert checked_out_folder(None) is None
    assert checked_out_folder(home / "new" / "deep") == home / "new" / "deep"
    assert list(home.iterdir()) == [], "a trial leaves nothing behind"
    (home / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        checked_out_folder(home / "file")
    with pytest.raises(UserError, match="cannot write in"):
        checked_out_folder(home / "file" / "below")
    with pytest.raises(UserError, match="not empty"):
        checked_out_folder(home)
    assert default_out_folder("abc") == Path("nadg-out/abc")


def test_the_schema_of_plans_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plan", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert "subtasks" in schema["properties"]


def test_the_first_signal_asks_and_the_second_acts() -> None:
    async def two_signals() -> list[str]:
        seen: list[str] = []
        second = asyncio.Event()
        interruption = Interruption()
        with interruption.listening(second.set):
            os.kill(os.getpid(), 2)
            await interruption.asked.wait()
            seen.append("asked")
            assert not second.is_set()
            os.kill(os.getpid(), 2)
            await second.wait()
            seen.append("second")
        return seen

    assert asyncio.run(two_signals()) == ["asked", "second"]
