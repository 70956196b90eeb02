"""What a plan will ask of models and workers, before it runs."""

from __future__ import annotations

from typing import Any

from nadg.domain.blob import BlobRef
from nadg.domain.inputs import Column, InputFile
from nadg.domain.plan import Plan
from nadg.planning.estimate import ANSWER_INPUT_TOKENS, PlanEstimate, estimate_plan, tokens_of

TABLE = InputFile(
    name="t.csv",
    blob=BlobRef(sha256="0" * 64, size=350_000),
    kind="table",
    columns=(Column(name="text", kind="text"),),
    rows=1000,
)
IMAGES = tuple(
    InputFile(name=f"{at}.png", blob=BlobRef(sha256="0" * 64, size=1 << 20), kind="image") for at in "abc"
)
TEXT = InputFile(name="a.md", blob=BlobRef(sha256="0" * 64, size=7000), kind="text")


def prompt(subtask_id: str = "p", tokens: int = 2048, **more: Any) -> dict[str, Any]:
    work = {"kind": "prompt", "prompt": "x" * 350, "max_output_tokens": tokens}
    return {"id": subtask_id, "work": work, **more}


def python(subtask_id: str = "c", **more: Any) -> dict[str, Any]:
    return {"id": subtask_id, "work": {"kind": "python", "code": "result = []"}, **more}


def estimate(*subtasks: dict[str, Any], answer: bool = False) -> PlanEstimate:
    return estimate_plan(Plan.model_validate({"subtasks": subtasks}), [TABLE, TEXT, *IMAGES], answer=answer)


def test_a_plan_without_prompts_asks_nothing() -> None:
    found = estimate(python(), python("d", foreach={"rows_of": "t.csv"}))
    assert (found.calls, found.input_tokens, found.output_tokens, found.shards) == (0, 0, 0, 3)
    assert not found.at_least


def test_a_prompt_of_each_row_is_a_call_of_each_row_with_its_share_of_the_table() -> None:
    found = estimate(prompt(foreach={"rows_of": "t.csv", "shard_size": 100}, tokens=100))
    assert (found.calls, found.shards, found.at_least) == (1000, 10, False)
    per_row = found.input_tokens / 1000
    assert 300 < per_row < 500  # the prompt is 100 tokens, a row 100, and what is put around them 200
    assert found.output_tokens == found.most_output_tokens == 100_000


def test_a_prompt_reads_its_inputs() -> None:
    assert estimate(prompt(inputs=["a.md"])).input_tokens - estimate(prompt()).input_tokens == tokens_of(7000)
    large = estimate(prompt(inputs=["t.csv"])).input_tokens
    assert large - estimate(prompt()).input_tokens == tokens_of(350_000)
    assert estimate(prompt(inputs=["a.png"])).input_tokens < 400


def test_items_and_files_are_counted() -> None:
    assert estimate(prompt(foreach={"items": [1, 2, 3, 4]})).calls == 4
    assert estimate(prompt(foreach={"files": "*.png"})).calls == 3
    many = estimate(python(foreach={"items": list(range(5000))}))
    assert many.shards == 1000


def test_what_hangs_on_results_counts_as_at_least() -> None:
    for foreach in ({"results_of": "c"}, {"rows_of": "c/made.csv"}):
        found = estimate(python(), prompt(needs=["c"], foreach=foreach))
        assert (found.calls, found.at_least) == (1, True)
    assert estimate(python(), prompt(needs=["c"])).at_least
    assert not estimate(prompt()).at_least


def test_the_answer_is_one_call_more() -> None:
    found = estimate(prompt(), answer=True)
    assert found.calls == 2
    assert found.input_tokens == estimate(prompt()).input_tokens + ANSWER_INPUT_TOKENS
    assert [one.purpose for one in found.by_subtask] == ["prompt", "answer"]
    assert found.at_least


def test_the_model_of_a_prompt_is_told() -> None:
    subtask = prompt()
    subtask["work"]["model"] = "openai:small"
    assert [one.model for one in estimate(subtask).by_subtask] == ["openai:small"]


def test_a_schema_costs_input() -> None:
    subtask = prompt()
    subtask["work"]["output_schema"] = {"type": "object", "description": "d" * 350}
    assert estimate(subtask).input_tokens >= estimate(prompt()).input_tokens + 100
