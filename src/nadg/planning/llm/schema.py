"""The JSON Schema that a model's plan is held to: closed objects only, no references, no open maps.

Servers that enforce a schema (Gemini, grammars of llama.cpp, strict modes) take this much for certain. So
skill arguments are one closed object with the parameters of all skills, and the answer of a prompt is told
as a list of fields; `nadg.planning.llm.document` makes plan documents of both.

The order of fields is the order in which models write them: `subtasks` first and the heads last, so that the
first subtask can start long before the plan is whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nadg.domain.model_calls import MAX_OUTPUT_TOKENS
from nadg.domain.skill import Parameter, SkillSpec
from nadg.planning.llm.document import FIELD_TYPES

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_STRINGS: Schema = {"type": "array", "items": _STRING}
_WHOLE: Schema = {"type": "integer", "minimum": 1}
_VALUE: Schema = {"anyOf": [_STRING, {"type": "number"}, {"type": "boolean"}]}
_PARAMETER_TYPES: Mapping[str, Schema] = {
    "string": _STRING,
    "column": _STRING,
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "columns": _STRINGS,
    "strings": _STRINGS,
}


def planning_schema(skills: Mapping[str, SkillSpec], labels: Sequence[str] = ()) -> Schema:
    """The schema of a plan over these skills and worker labels."""
    return _closed(
        {
            "subtasks": {"type": "array", "minItems": 1, "items": _subtask(skills, labels)},
            "answer": {**_STRING, "description": "id of the subtask whose result is the answer"},
            "goal": {**_STRING, "description": "what the run is for, in one sentence"},
        },
        required=("subtasks", "answer"),
    )


def _subtask(skills: Mapping[str, SkillSpec], labels: Sequence[str]) -> Schema:
    fields: Schema = {
        "id": {**_STRING, "description": "a-z, 0-9, _ and -, a letter first"},
        "title": {**_STRING, "description": "what people see, a few words"},
        "needs": {**_STRINGS, "description": "ids of subtasks written before this one"},
        "inputs": {**_STRINGS, "description": "input files by name, or SUBTASK/ARTIFACT of a need"},
        "foreach": _foreach(),
        "on_failure": {"type": "string", "enum": ["fail_run", "continue"]},
        "limits": _closed({"wall_seconds": _WHOLE, "cpu_seconds": _WHOLE, "memory_megabytes": _WHOLE}),
    }
    if labels:
        fields["labels"] = {"type": "array", "items": {"type": "string", "enum": list(labels)}}
    return _closed({**fields, "work": {"anyOf": _works(skills)}}, required=("id", "work"))


def _foreach() -> Schema:
    sources: Schema = {
        "rows_of": _STRING,
        "results_of": _STRING,
        "files": _STRING,
        "items": {"type": "array", "items": _VALUE},
    }
    kinds = [_closed({name: schema, "shard_size": _WHOLE}, required=(name,)) for name, schema in sources.items()]
    return {"anyOf": kinds}


def _works(skills: Mapping[str, SkillSpec]) -> list[Schema]:
    field = _closed(
        {
            "name": _STRING,
            "type": {"type": "string", "enum": list(FIELD_TYPES)},
            "choices": _STRINGS,
            "description": _STRING,
        },
        required=("name", "type"),
    )
    prompt = {
        "prompt": _STRING,
        "output_fields": {"type": "array", "items": field},
        "max_output_tokens": {"type": "integer", "minimum": 16, "maximum": MAX_OUTPUT_TOKENS},
    }
    works = [
        _closed({"kind": _only("python"), "code": _STRING}, required=("kind", "code")),
        _closed({"kind": _only("prompt"), **prompt}, required=("kind", "prompt")),
    ]
    if skills:
        skill = {"type": "string", "enum": sorted(skills)}
        works.insert(
            0, _closed({"kind": _only("skill"), "skill": skill, "args": _args(skills)}, required=("kind", "skill"))
        )
    return works


def _args(skills: Mapping[str, SkillSpec]) -> Schema:
    """The parameters of all skills side by side; which go with which skill, validation tells."""
    found: dict[str, list[Schema]] = {}
    for spec in skills.values():
        for parameter in spec.parameters:
            kinds = found.setdefault(parameter.name, [])
            if (kind := _argument(parameter)) not in kinds:
                kinds.append(kind)
    return _closed(
        {name: kinds[0] if len(kinds) == 1 else {"anyOf": kinds} for name, kinds in sorted(found.items())}
    )


def _argument(parameter: Parameter) -> Schema:
    return _PARAMETER_TYPES[parameter.type]


def _only(value: str) -> Schema:
    return {"type": "string", "enum": [value]}


def _closed(properties: Schema, required: Sequence[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
