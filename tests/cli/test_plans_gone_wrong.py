"""Models that write no plan that can run: told once they may mend it, three times it is one clear message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.model_terminal import GOOD, LITE, WAYS_OUT, Terminal, plan_of, prepare, prompt, python
from tests.support.gemini import Say


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    prepare(tmp_path, monkeypatch)
    return Terminal(capsys, monkeypatch)


BAD_PLANS = {
    "prose": ("I would be glad to help! First, look at the data.", "the answer holds no JSON object"),
    "nothing": ("", "the answer is empty; answer with the plan as one JSON object"),
    "half": (GOOD[:-5], "the answer is no JSON at line 1"),
    "a cycle": (plan_of(python("a", needs=["b"]), python("b", needs=["a"])), "in a circle: a -> b -> a; cut one"),
    "an unknown skill": (
        plan_of({"id": "a", "work": {"kind": "skill", "skill": "text.sentimant"}}),
        '"text.sentimant" is not an installed skill; did you mean text.sentiment?',
    ),
    "an unknown input": (plan_of(python("a", inputs=["b.csv"])), '"b.csv" is no input'),
    "too many": (plan_of(*(python(f"s{n}", "0") for n in range(1001))), "holds 1,001 subtasks; give 1 to 1,000"),
    "broken code": (plan_of(python("a", "result = (1")), "line 1 is not valid Python ('(' was never closed)"),
    "an odd schema": (plan_of(prompt(output_schema={"type": "odd"})), "work.output_schema: it is no JSON Schema"),
    "a strange model": (
        plan_of(prompt(model="google:dearest")),
        "is not among the configured models; take the field",
    ),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_a_plan_that_is_none_three_times(name: str, terminal: Terminal) -> None:
    text, problem = BAD_PLANS[name]
    sentence = terminal.facing([Say(text, chunk=5000)] * 3, 1, "plan", "say it")
    assert sentence.startswith(f"{LITE} wrote no plan that can run in 3 answers (")
    assert problem in sentence
    assert sentence.endswith(f"); {WAYS_OUT}")


@pytest.mark.parametrize("name", BAD_PLANS)
def test_a_plan_that_is_none_once(name: str, terminal: Terminal) -> None:
    answers = [Say(BAD_PLANS[name][0], chunk=5000), Say(GOOD)]
    with terminal.before(*answers):
        code, out, err = terminal.run("plan", "say it", "--json")
    asked, spent = err.splitlines()
    assert (code, asked) == (0, f"the plan of {LITE} has 1 problem; it is asked to mend it")
    assert spent.startswith("Models: 2 answers, ")
    assert [one["id"] for one in json.loads(out)["subtasks"]] == ["a"]


def test_many_problems_are_listed_with_the_ways_out(terminal: Terminal) -> None:
    text = plan_of(*(python(f"s{number}", inputs=["b.csv"]) for number in range(30)))
    with terminal.before(*[Say(text, chunk=5000)] * 3):
        code, _, err = terminal.run("plan", "say it")
    lines = err.splitlines()[2:]
    assert code == 1
    assert lines[0] == f"nadg: {LITE} wrote no plan that can run in 3 answers; its last one has 30 problems:"
    assert lines[1].startswith('  subtasks[0].inputs[0]: "b.csv" is no input')
    assert lines[21:] == ["  and 10 more", f"  {WAYS_OUT}"]
