"""A plan: the DAG of subtasks for a run, as a user writes it and as planners return it.

These models hold the shape and the value ranges. What crosses subtasks (cycles, unknown names,
arguments of skills) is `nadg.domain.validate`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from nadg.domain.limits import Limits
from nadg.domain.model_calls import MAX_OUTPUT_TOKENS
from nadg.domain.tier import Tier

MAX_SUBTASKS = 1000
MAX_CODE_BYTES = 1 << 20
MAX_ITEMS = 1_000_000
MAX_PROMPT_CHARACTERS = 400_000
"""Of one question of prompt work, data included: about 100,000 tokens."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SkillWork(_Model):
    """An installed, typed function with arguments."""

    kind: Literal["skill"]
    skill: str = Field(min_length=1, max_length=200)
    args: dict[str, JsonValue] = Field(default_factory=dict)


class PythonWork(_Model):
    """Python source under the code contract (docs/CODE_CONTRACT.md)."""

    kind: Literal["python"]
    code: str = Field(min_length=1, max_length=MAX_CODE_BYTES)


class PromptWork(_Model):
    """A text for a language model. What the subtask needs, reads and is repeated over is added to it as data."""

    kind: Literal["prompt"]
    prompt: str = Field(min_length=1, max_length=MAX_CODE_BYTES)
    output_schema: dict[str, JsonValue] | None = Field(
        default=None, description="JSON Schema of the answer; plain text without one"
    )
    model: str | None = Field(default=None, min_length=1, max_length=200)
    max_output_tokens: int = Field(default=2048, ge=16, le=MAX_OUTPUT_TOKENS)


Work = Annotated[SkillWork | PythonWork | PromptWork, Field(discriminator="kind")]


class Foreach(_Model):
    """What a subtask is repeated over; exactly one source."""

    items: list[JsonValue] | None = Field(default=None, max_length=MAX_ITEMS)
    rows_of: str | None = Field(default=None, description="a table: an input, or SUBTASK/ARTIFACT")
    files: str | None = Field(default=None, description="a pattern over the inputs, such as *.png")
    results_of: str | None = Field(default=None, description="a subtask whose result is a list")
    shard_size: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _one_source(self) -> Foreach:
        given = [name for name in ("items", "rows_of", "files", "results_of") if getattr(self, name) is not None]
        if len(given) != 1:
            stated = ", ".join(given) or "none"
            raise ValueError(f"give exactly one of items, rows_of, files, results_of (given: {stated})")
        return self


class Subtask(_Model):
    """One node of the DAG."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    title: str = Field(default="", max_length=500)
    work: Work
    needs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = Field(default=(), description="inputs of the run, or SUBTASK/ARTIFACT of a need")
    foreach: Foreach | None = None
    limits: Limits = Field(default_factory=Limits)
    on_failure: Literal["fail_run", "continue"] = "fail_run"
    labels: tuple[str, ...] = ()
    min_sandbox: Tier | None = None
    max_attempts: int = Field(default=3, ge=1, le=20, description="tries, counting those lost with a worker")
    cache: bool = Field(default=True, description="whether the result of equal work done before may serve")

    @property
    def name(self) -> str:
        """The title, or the id where there is none."""
        return self.title or self.id


class Plan(_Model):
    """A whole plan; `answer` names the subtask whose result is the run's answer (default: the last one)."""

    goal: str = Field(default="", max_length=100_000)
    subtasks: tuple[Subtask, ...] = Field(min_length=1, max_length=MAX_SUBTASKS)
    answer: str | None = None

    @property
    def answer_id(self) -> str:
        return self.answer or self.subtasks[-1].id

    def subtask(self, subtask_id: str) -> Subtask:
        """Raises KeyError where there is none of that id."""
        for one in self.subtasks:
            if one.id == subtask_id:
                return one
        raise KeyError(subtask_id)

    def document(self) -> dict[str, Any]:
        """The plan as plain JSON data, defaults left out: what plan.yaml shows."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude_unset=False)
