"""The five example commands, each with its inputs and the whole plan that a good model would write for it."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLANS = Path(__file__).parent / "plans"
EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True, kw_only=True)
class Seed:
    """A command, the files that are given with it, and code that stands in for each of its prompts."""

    name: str
    files: tuple[Path, ...]
    stand_ins: dict[str, str]
    """Python code by the id of a prompt subtask: gives what a model might answer, where none is at hand."""

    @property
    def text(self) -> str:
        """The plan as the model writes it."""
        return (PLANS / f"{self.name}.json").read_text(encoding="utf-8")

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document

    @property
    def command(self) -> str:
        return str(self.document["goal"])

    def without_prompts(self) -> dict[str, Any]:
        """The same plan with its stand-ins, which runs without a model."""
        document = copy.deepcopy(self.document)
        for subtask in document["subtasks"]:
            if subtask["work"]["kind"] == "prompt":
                subtask["work"] = {"kind": "python", "code": self.stand_ins[subtask["id"]]}
        return document


SEEDS = (
    Seed(
        name="reviews",
        files=(EXAMPLES / "reviews.csv",),
        stand_ins={
            "labels": "result = {'label': item['words'].split(',')[0].title(), 'summary': 'Some like it.'}"
        },
    ),
    Seed(name="cars", files=(EXAMPLES / "cars.csv",), stand_ins={}),
    Seed(
        name="products",
        files=(PLANS / "products.csv",),
        stand_ins={
            "texts": (
                "result = [{'headline': 'Hello', 'description': f\"Meet the {row['name']}.\"} for row in rows]\n"
                "result[3] = {'failed': 'blocked'}"
            )
        },
    ),
    Seed(
        name="competitors",
        files=(PLANS / "competitors.csv",),
        stand_ins={
            "profiles": "result = [{'strength': 'small', 'weakness': row['note'][:20]} for row in rows]",
            "standing": "result = f\"{needs['ranks']['us']} is in the middle.\"",
        },
    ),
    Seed(
        name="client",
        files=(PLANS / "api.md",),
        stand_ins={"manual": "result = '# The client\\n\\nUse `TernClient`.'"},
    ),
)
