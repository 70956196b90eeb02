"""Plan files: YAML or JSON in, YAML out, and the published schema.

The YAML reader takes what JSON can say, written the YAML way: no tags, no anchors and aliases, and plain
words mean what they mean in YAML 1.2, so that `on`, `no`, `1_000` and `2024-01-31` stay text. It builds the
document from parser events without recursion; a key that stands twice is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from nadg.domain.checks import fields
from nadg.domain.checks.plain import MAX_DEPTH, MAX_DOCUMENT_BYTES
from nadg.domain.errors import UserError
from nadg.domain.plan import Plan

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MOST_DIGITS = 400
_OTHER_LINE_ENDS = re.compile("[\r\x85\u2028\u2029\ufeff]")


def load_plan(path: Path) -> object:
    """The document in a plan file, not yet checked. Raises UserError with one sentence, line and column."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_DOCUMENT_BYTES else b""
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such plan file; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a plan file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); give another plan file") from error
    if size > MAX_DOCUMENT_BYTES:
        raise UserError(f"{path}: is larger than {MAX_DOCUMENT_BYTES >> 20} MiB; put the data into input files")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UserError(
            f"{path}: byte {byte:#04x} at offset {error.start} is not UTF-8 (tried utf-8); save the plan as UTF-8"
        ) from error
    if not text.strip():
        raise UserError(f"{path}: the plan file is empty; give one with subtasks")
    return parse_text(text, path.name)


def parse_text(text: str, name: str = "plan") -> object:
    """The document in a text: JSON where it starts like a JSON object, YAML otherwise. Raises UserError."""
    if name.lower().endswith(".json") or (text.lstrip().startswith("{") and not name.lower().endswith(".yaml")):
        return _parse_json(text, name)
    return _parse_yaml(text, name)


def _parse_json(text: str, name: str) -> object:
    def without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise UserError(f"{name}: the key {key[:60]!r} stands twice in one object; keep one")
            found[key] = value
        return found

    def refuse_constant(word: str) -> object:
        raise UserError(f"{name}: {word} is not JSON; use null or text")

    try:
        return json.loads(text, object_pairs_hook=without_duplicates, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name}: line {error.lineno}, column {error.colno}: {error.msg}; mend the JSON there"
        ) from error
    except RecursionError:
        raise UserError(f"{name}: is nested deeper than {MAX_DEPTH} levels; flatten it") from None
    except ValueError as error:
        raise UserError(f"{name}: holds a number with too many digits; write it as text in quotes") from error


_DESCRIBED: Mapping[str, fields.Fields] = {
    "Plan": fields.PLAN,
    "Subtask": fields.SUBTASK,
    "SkillWork": fields.WORK,
    "PythonWork": fields.WORK,
    "PromptWork": fields.WORK,
    "Foreach": fields.FOREACH,
    "Limits": fields.LIMITS,
}


class _Open:
    """A list or mapping that is being filled."""

    def __init__(self, value: dict[str, Any] | list[Any]) -> None:
        self.value = value
        self.key: str | None = None

    def add(self, item: object, event: yaml.Event, name: str) -> None:
        if isinstance(self.value, list):
            self.value.append(item)
        elif self.key is None:
            self.key = self._key(self.value, item, event, name)
        else:
            self.value[self.key] = item
            self.key = None

    @staticmethod
    def _key(filled: dict[str, Any], item: object, event: yaml.Event, name: str) -> str:
        if not isinstance(event, ScalarEvent):
            raise UserError(f"{name}: {_where(event)}: a key is a list or a mapping; keys are text")
        key = item if isinstance(item, str) else str(event.value)
        if key in filled:
            raise UserError(f"{name}: {_where(event)}: the key {key[:60]!r} stands twice; keep one")
        return key


def _parse_yaml(text: str, name: str) -> object:
    roots: list[Any] = []
    stack = [_Open(roots)]
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            _refuse_unwanted(event, name)
            match event:
                case DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise UserError(
                            f"{name}: {_where(event)}: a second document starts; one file holds one plan"
                        )
                case ScalarEvent():
                    stack[-1].add(_scalar(event, name), event, name)
                case MappingStartEvent() | SequenceStartEvent():
                    opened = _Open({} if isinstance(event, MappingStartEvent) else [])
                    if len(stack) > MAX_DEPTH:
                        raise UserError(f"{name}: {_where(event)}: is nested deeper than {MAX_DEPTH} levels")
                    stack[-1].add(opened.value, event, name)
                    stack.append(opened)
                case MappingEndEvent() | SequenceEndEvent():
                    stack.pop()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UserError(f"{name}: {where}{error.problem or error.context}; mend the YAML there") from error
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{name}: is not YAML ({reason}); mend the file") from error
    return roots[0] if roots else None


def _refuse_unwanted(event: yaml.Event, name: str) -> None:
    if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
        raise UserError(f"{name}: {_where(event)}: anchors and aliases are not read; write the value out")
    tag = getattr(event, "tag", None)
    if tag not in (None, "!"):
        raise UserError(f"{name}: {_where(event)}: the tag {str(tag)[:60]!r} is not read; take it out")


def _where(event: yaml.Event) -> str:
    mark = event.start_mark
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"


def _scalar(event: ScalarEvent, name: str) -> object:
    """A scalar by the core rules of YAML 1.2."""
    text: str = event.value
    if event.style or event.tag == "!":
        return text
    value = plain_value(text)
    if value is NotImplemented:
        raise UserError(f"{name}: {_where(event)}: {text[:20]} is no number that JSON can carry; put it in quotes")
    return value


def plain_value(text: str) -> Hashable:
    """What an unquoted word means; NotImplemented for a number that JSON cannot carry."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= _MOST_DIGITS else NotImplemented
    if _FLOAT.fullmatch(text):
        value = float(text)
        return value if abs(value) != float("inf") else NotImplemented
    return NotImplemented if _NOT_FINITE.fullmatch(text) else text


class _Dumper(yaml.SafeDumper):
    """Blocks for text of several lines, quotes wherever a reader of YAML 1.1 or 1.2 could see a number."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if _OTHER_LINE_ENDS.search(text):
        style = '"'
    elif "\n" in text:
        style = "|" if text[0] not in " \n\t" else '"'
    elif not isinstance(plain_value(text), str):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump_plan(plan: Plan) -> str:
    """The plan as a YAML file that `load_plan` reads back to the same plan; defaults are left out."""
    return yaml.dump(plan.document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def plan_schema() -> dict[str, Any]:
    """The JSON Schema of plan files."""
    schema = Plan.model_json_schema()
    sources = ("items", "rows_of", "files", "results_of")
    schema["$defs"]["Foreach"]["oneOf"] = [{"required": [name]} for name in sources]
    for name, described in _DESCRIBED.items():
        definition = schema if name == "Plan" else schema["$defs"][name]
        for field, properties in definition["properties"].items():
            properties.setdefault("description", described[field])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "NADG plan"}
