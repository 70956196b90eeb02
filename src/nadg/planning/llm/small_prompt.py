"""What a small or base model is shown: solved examples and an unfinished one, which it goes on with.

A base model follows no instructions but goes on with a pattern, so the examples are the request. They are the
clauses that the skills themselves give as examples (`SkillSpec.examples`), those most like the step last, where
a small model looks most. Nothing of the inputs is shown, neither names nor contents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nadg.domain.skill import SkillSpec
from nadg.planning.builtin.words import tokens

PROMPT = "prompt"
"""Named in place of a skill where a step is work for a language model."""
INSTRUCTIONS = "For each command the skill that does it, as one JSON object from command to skill."
_PROMPT_EXAMPLES = (
    "write a friendly reply to each review",
    "translate the texts into French",
    "write a product description",
    "suggest a name for each item",
)
_NEAREST = 8
Example = tuple[str, str]


def small_request(step: str, choices: Sequence[str], skills: Mapping[str, SkillSpec]) -> str:
    """The text of the user's turn; the same words always give the same text."""
    solved = "".join(_solved(clause, skill) for clause, skill in _examples(step, choices, skills))
    return f"{solved}{unfinished(step)}"


def unfinished(step: str) -> str:
    """The part that the model goes on with."""
    return f"Command: {step}\nSkill:"


def answer_schema(step: str, choices: Sequence[str]) -> dict[str, Any]:
    """An object with the step as its only key and one of the choices as the value.

    The model writes the step's words out before it names the skill, as in the examples; a server that keeps to the
    schema by grammar can name no skill that is not there.
    """
    return {
        "type": "object",
        "properties": {step: {"type": "string", "enum": list(choices)}},
        "required": [step],
        "additionalProperties": False,
    }


def _solved(clause: str, skill: str) -> str:
    return f"Command: {clause}\nSkill: {json.dumps({clause: skill}, ensure_ascii=False)}\n"


def _examples(step: str, choices: Sequence[str], skills: Mapping[str, SkillSpec]) -> list[Example]:
    """The nearest examples and at least one of each choice, the nearest last."""
    wanted = _stems(step)
    nearness = {one: _likeness(_stems(one[0]), wanted) for one in _all_examples(choices, skills)}
    ranked = sorted(nearness, key=lambda one: -nearness[one])
    chosen = dict.fromkeys(ranked[:_NEAREST])
    for name in choices:
        if not any(skill == name for _, skill in chosen):
            chosen.update(dict.fromkeys([one for one in ranked if one[1] == name][:1]))
    return sorted(chosen, key=lambda one: nearness[one])


def _all_examples(menu: Sequence[str], skills: Mapping[str, SkillSpec]) -> Iterator[Example]:
    for name in menu:
        spec = skills.get(name)
        clauses = (spec.examples or (spec.summary,)) if spec else _PROMPT_EXAMPLES
        yield from ((clause, name) for clause in clauses)


def _stems(text: str) -> frozenset[str]:
    return frozenset(token.stem for token in tokens(text) if token.has_content)


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of words in common, from 0 to 1."""
    return len(one & other) / len(one | other) if one and other else 0.0
