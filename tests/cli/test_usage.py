"""What the command line says of language models: before a run, at its end, and of its parts."""

from __future__ import annotations

import dataclasses
import io

import msgspec
import pytest
from pydantic import JsonValue
from rich.console import Console

from nadg.cli.console import print_table
from nadg.cli.render.code import work_blocks
from nadg.cli.render.estimate import estimate_line, estimate_lines
from nadg.cli.render.usage import money, usage_line, usage_table
from nadg.domain.model_calls import Budget, CallRecord, ModelUsage
from nadg.domain.plan import Plan, PromptWork, PythonWork, Subtask
from nadg.domain.run import RunRecord
from tests.cli.test_render_record import record
from tests.orchestrator.test_spending import call


def run_with(*calls: CallRecord) -> RunRecord:
    return msgspec.structs.replace(record(), calls=calls)


def test_a_run_without_models_says_nothing_of_them() -> None:
    assert usage_line(record()) is None
    assert usage_table(record()) is None


def test_the_closing_line() -> None:
    usage = ModelUsage(
        models=("google:gemini-3.5-flash-lite",),
        answers=14,
        cached=3,
        requests=11,
        input_tokens=21_034,
        output_tokens=3_308,
        thinking_tokens=812,
        cost_usd=0.0031,
    )
    assert usage_line(run_with(call(1, "answered", usage=usage))) == (
        "Models: 14 answers (3 cached), 21,034 tokens in, 4,120 out (812 thinking), $0.0031, "
        "google:gemini-3.5-flash-lite"
    )


def test_an_unknown_price_failures_and_what_never_ended_are_said() -> None:
    unknown = ModelUsage(models=("openai:own\x1b[2J",), answers=1, requests=1, input_tokens=10, cost_usd=None)
    late = [call(4, "refused"), call(5, "refused")]
    line = usage_line(
        run_with(call(1, "answered", usage=unknown), call(2, "failed"), call(3, "charged", usage=None), *late)
    )
    assert line is not None
    ends = "2 requests put off by a rate limit, 1 request failed, 1 request without a known end"
    assert f"price unknown, {ends} (set aside: 900 tokens, $0.0100), " in line
    assert ", openai:own\\x1b[2J" in line


def test_what_cost_nothing_is_free_and_what_is_not_known_is_not() -> None:
    usage = ModelUsage(models=("openai:here",), answers=1, requests=1, input_tokens=10, cost_usd=0.0)
    assert "10 tokens in, 0 out, free, openai:here" in (
        usage_line(run_with(call(1, "answered", usage=usage))) or ""
    )
    lost = usage_line(run_with(call(1, "charged", usage=None), call(2, "charged", usage=None)))
    assert lost == (
        "Models: 0 answers, 0 tokens in, 0 out, $0.0000, "
        "2 requests without a known end (set aside: 1,800 tokens, $0.0200)"
    )


def test_a_cost_of_next_to_nothing_is_short_in_the_table() -> None:
    usage = ModelUsage(models=("google:a",), answers=1, cost_usd=0.00001)
    table = usage_table(run_with(call(1, "answered", usage=usage)))
    assert table is not None
    console = Console(file=io.StringIO(), width=160)
    print_table(console, table)
    assert isinstance(console.file, io.StringIO)
    assert "<$0.0001 " in console.file.getvalue()


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (None, "price unknown"),
        (0.0, "$0.0000"),
        (0.00001, "less than $0.0001"),
        (0.0031, "$0.0031"),
        (12.345, "$12.35"),
        (1234.5, "$1,234.50"),
    ],
)
def test_money(usd: float | None, shown: str) -> None:
    assert money(usd) == shown


def test_the_table_has_a_line_for_each_part() -> None:
    calls = (
        call(1, "answered", purpose="plan"),
        call(2, "answered"),
        call(3, "failed", usage=ModelUsage(requests=1)),
        call(4, "charged", usage=None),
    )
    table = usage_table(run_with(*calls))
    assert table is not None
    console = Console(file=io.StringIO(), width=160)
    print_table(console, table)
    assert isinstance(console.file, io.StringIO)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert lines == [
        "SUBTASK PURPOSE ANSWERS CACHED FAILED IN OUT THINKING COST SET ASIDE MODEL",
        "– plan 1 0 0 100 20 5 $0.0010 – google:a",
        "a prompt 1 0 1 + 1 unknown 100 20 5 $0.0010 900 tokens, $0.0100 google:a",
    ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    calls: int = 12
    at_least: bool = False
    input_tokens: int = 9000
    output_tokens: int = 2000
    cost_usd: float | None = 0.0031
    shards: int = 4
    budget: Budget = dataclasses.field(default_factory=Budget)


@pytest.mark.parametrize(
    ("estimate", "shown"),
    [
        (Estimate(), "12 calls, about 9,000 tokens in and 2,000 out, $0.0031, 4 shards"),
        (
            Estimate(at_least=True, calls=1),
            "at least 1 call, about 9,000 tokens in and 2,000 out, at least $0.0031, 4 shards",
        ),
        (
            Estimate(cost_usd=None),
            "12 calls, about 9,000 tokens in and 2,000 out, price unknown, 4 shards",
        ),
        (
            Estimate(at_least=True, cost_usd=0.0),
            "at least 12 calls, about 9,000 tokens in and 2,000 out, free, 4 shards",
        ),
        (
            Estimate(at_least=True, cost_usd=0.00001),
            "at least 12 calls, about 9,000 tokens in and 2,000 out, less than $0.0001, 4 shards",
        ),
        (Estimate(calls=0), "no calls of a language model, 4 shards"),
    ],
)
def test_the_estimate(estimate: Estimate, shown: str) -> None:
    assert estimate_line(estimate) == f"Estimate: {shown}"


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (Budget(), None),
        (Budget(usd=0.0031, tokens=11_000), None),
        (Budget(usd=0.003), "$0.0030"),
        (Budget(tokens=10_999), "10,999 tokens"),
    ],
)
def test_an_estimate_above_the_budget_is_said(budget: Budget, told: str | None) -> None:
    _, *more = estimate_lines(Estimate(budget=budget))
    warning = f"the estimate is above the budget of {told}; the run will stop when it is used up"
    assert more == ([] if told is None else [warning])


HARMFUL = "\x1b[2J\u202eboo\x9b31m\x07\r"


@pytest.mark.parametrize("terminal", [True, False])
def test_all_of_the_code_is_shown_and_none_of_it_acts(terminal: bool) -> None:
    code = "\n".join([f"x = {HARMFUL!r}  # {HARMFUL}", *(f"line{number} = {number}" for number in range(500))])
    schema: dict[str, JsonValue] = {"type": "object", "title": HARMFUL}
    prompt = PromptWork(
        kind="prompt", prompt=f"Say [bold]{HARMFUL}[/bold]", output_schema=schema, model="google:a"
    )
    plan = Plan(
        subtasks=(
            Subtask(id="a", work=PythonWork(kind="python", code=code)),
            Subtask(id="b", work=prompt),
        )
    )
    console = Console(file=io.StringIO(), width=100, markup=False, color_system=None, force_terminal=terminal)
    for block in work_blocks(plan, terminal=terminal):
        console.print(block)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert not set(text) & set("\x1b\u202e\x9b\x07\r")
    assert [number for number in range(500) if f"line{number} = {number}" not in text] == []
    assert "a  python, 501 lines" in text
    assert "b  prompt for google:a, at most 2,048 tokens an answer" in text
    assert "[bold]" in text, "shown as it is"
    assert '"title"' in text
