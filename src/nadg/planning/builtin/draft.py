"""A plan being put together: one subtask per request and table, each bound to what it works on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nadg.domain.checks.places import listed
from nadg.domain.inputs import InputFile
from nadg.domain.skill import SkillSpec
from nadg.planning.builtin import arguments as given
from nadg.planning.builtin.columns import column_troubles
from nadg.planning.builtin.requests import Clause, Request
from nadg.planning.builtin.roles import column_arguments
from nadg.planning.builtin.sources import (
    Source,
    input_sources,
    joined_columns,
    replaced,
    suits,
    text_parameter,
)
from nadg.planning.builtin.words import name_tokens, tokens

_PRONOUNS = frozenset(("it", "them", "this", "these", "that", "those", "its", "their"))
_EACH = re.compile(r"\b(?:each|every)\b", re.I)
_TITLE_CHARACTERS = 90
_ID_CHARACTERS = 40
Document = dict[str, Any]


class PlanDraft:
    """Collects subtasks, and sentences about what cannot be done."""

    def __init__(self, inputs: Sequence[InputFile]) -> None:
        self.subtasks: list[Document] = []
        self.troubles: list[str] = []
        self._inputs = {one.name: one for one in inputs}
        self._sources = input_sources(inputs)
        self._images = [one.name for one in inputs if one.kind == "image"]
        self._focus: frozenset[str] = frozenset()

    def add(self, request: Request) -> None:
        """Bind a request to its data. What is wrong with it is added to `troubles`."""
        named = frozenset(request.clause.files)
        self._focus = named or self._focus
        match request.spec.takes:
            case "table":
                self._add_for_tables(request)
            case "tables":
                self._add_for_all_tables(request)
            case "image":
                self._add_for_each_image(request)
            case "images":
                self._add_for_images(request)
            case _:
                self._append(request, self._args(request, None), {})

    def add_prompt(self, text: str) -> None:
        """A text for a language model: over each row of a table, else about what came before it, or the files."""
        rows = next((one for one in self._sources if one.can_be_cut and _EACH.search(text)), None)
        binding: Document = {}
        if rows is not None:
            binding["foreach"] = {"rows_of": rows.name}
            binding["needs"] = [rows.made_by] if rows.made_by else []
        elif self.subtasks:
            binding["needs"] = [one["id"] for one in self.subtasks]
        else:
            binding["inputs"] = [one.name for one in self._sources]
        work = {"kind": "prompt", "prompt": text}
        self.subtasks.append({"id": self._free_id("prompt", ()), "title": _title(text), "work": work, **binding})

    def add_report(self, spec: SkillSpec, clause: Clause | None, command: str, title: str) -> None:
        """Close with a subtask that needs all others."""
        subtask_id = self._free_id(spec.name.rpartition(".")[0] or spec.name, ())
        own: Document = {"title": title, "goal": command, "subtask": subtask_id}
        texts = {one.name for one in spec.parameters if one.type == "string" and not one.choices}
        args = {name: value for name, value in own.items() if name in texts}
        subtask = {
            "id": subtask_id,
            "title": _title(clause.text) if clause else "Report",
            "needs": [one["id"] for one in self.subtasks],
            "work": {"kind": "skill", "skill": spec.name, "args": args},
        }
        self.subtasks.append(subtask)

    def _add_for_tables(self, request: Request) -> None:
        chosen = self._chosen_sources(request)
        if not chosen:
            self.troubles.append(self._no_table(request))
            return
        for source in chosen:
            distinct = name_tokens(source.origins[0].rpartition(".")[0]) if len(chosen) > 1 else ()
            self._add_for_table(request, source, tuple(token.text for token in distinct))

    def _add_for_table(self, request: Request, source: Source, distinct: Sequence[str]) -> None:
        spec = request.spec
        binding: Document = {}
        if source.made_by is not None:
            binding["needs"] = [source.made_by]
        if spec.maps_over == "rows" and spec.merges and source.can_be_cut:
            binding["foreach"] = {"rows_of": source.name}
        else:
            binding["inputs"] = [source.name]
        subtask_id = self._append(request, self._args(request, source), binding, distinct)
        if spec.primary_table is not None:
            made = f"{subtask_id}/{spec.primary_table}"
            better = Source(name=made, origins=source.origins, columns=source.columns, made_by=subtask_id)
            self._sources = replaced(self._sources, better)

    def _chosen_sources(self, request: Request) -> list[Source]:
        """The tables a request is about: those named in it, or named before, or that have its columns, or all."""
        fitting = [one for one in self._sources if suits(request.spec, one)]
        named = frozenset(request.clause.files)
        if named:
            return [one for one in fitting if named & set(one.origins)]
        wanted = {one.column for one in request.clause.mentions}
        having = [one for one in fitting if wanted and wanted <= {column.name for column in one.columns}]
        focused = [one for one in having or fitting if self._focus & set(one.origins)]
        if focused:
            return focused
        if having:
            return having[:1]
        if wanted and any(token.text in _PRONOUNS for token in request.clause.tokens) is False:
            return fitting[:1] if len(fitting) == 1 else fitting
        return fitting

    def _no_table(self, request: Request) -> str:
        spec, named = request.spec, [name for name in request.clause.files if name in self._inputs]
        tables = [one for one in self._sources if not named or set(named) & set(one.origins)]
        needs = "a table with a column of text" if text_parameter(spec) is not None else "a table"
        asked = f'"{request.clause.text}" asks for {spec.name}, which needs {needs}'
        if not self._inputs:
            return f"{asked}; give one with --input"
        if not tables:
            kinds = ", ".join(f"{one.name} ({one.kind})" for one in self._inputs.values())
            return f"{asked}, and there is none among the inputs: {kinds}"
        held = "; ".join(f"{one.origins[0]} has {_columns_of(one)}" for one in tables[:3])
        mend = "or name the column to read" if text_parameter(spec) is not None else "such as a CSV file"
        return f"{asked}, and {held}; give another file, {mend}"

    def _add_for_all_tables(self, request: Request) -> None:
        named = frozenset(request.clause.files)
        fitting = [one for one in self._sources if suits(request.spec, one)]
        chosen = [one for one in fitting if named & set(one.origins)] if len(named) > 1 else fitting
        if len(chosen) < 2:
            given_files = listed(self._inputs) if self._inputs else "none"
            self.troubles.append(
                f'"{request.clause.text}" asks for {request.spec.name}, which needs two tables or more '
                f"(inputs: {given_files}); give them with --input"
            )
            return
        origins = tuple(origin for one in chosen for origin in one.origins)
        whole = Source(name=request.spec.name, origins=origins, columns=joined_columns(chosen))
        binding: Document = {"inputs": [one.name for one in chosen]}
        if needs := [one.made_by for one in chosen if one.made_by]:
            binding["needs"] = needs
        subtask_id = self._append(request, self._args(request, whole), binding)
        if request.spec.primary_table is not None:
            made = f"{subtask_id}/{request.spec.primary_table}"
            better = Source(name=made, origins=origins, columns=whole.columns, made_by=subtask_id)
            self._sources = replaced(self._sources, better)

    def _chosen_images(self, request: Request) -> list[str]:
        named = set(request.clause.files) or self._focus
        chosen = [name for name in self._images if name in named] or self._images
        if not chosen:
            kinds = ", ".join(f"{one.name} ({one.kind})" for one in self._inputs.values()) or "none"
            self.troubles.append(
                f'"{request.clause.text}" asks for {request.spec.name}, which needs images (inputs: {kinds}); '
                "give them with --input"
            )
        return chosen

    def _add_for_each_image(self, request: Request) -> None:
        chosen = self._chosen_images(request)
        patterns = list(_patterns(chosen, list(self._inputs))) if chosen else []
        for pattern in patterns:
            distinct = [token.text for token in tokens(pattern)] if len(patterns) > 1 else []
            self._append(request, self._args(request, None), {"foreach": {"files": pattern}}, distinct)

    def _add_for_images(self, request: Request) -> None:
        if chosen := self._chosen_images(request):
            self._append(request, self._args(request, None), {"inputs": chosen})

    def _args(self, request: Request, source: Source | None) -> Document:
        """Every argument that the clause gives; what it asks for and cannot be given is added to `troubles`."""
        spec, clause = request.spec, request.clause
        args: Document = {}
        columns = {one.name: one for one in source.columns} if source else {}
        mentions = [one for one in clause.mentions if one.column in columns]
        if source is not None:
            found, idle = column_arguments(spec, mentions, columns)
            args |= found
            self.troubles += column_troubles(request, source, idle)
            text = text_parameter(spec)
            if text is not None and text.name not in args:
                args[text.name] = source.text_column()
        args |= given.choice_arguments(spec, clause.tokens, clause.taken, clause.text)
        args |= given.switch_arguments(spec, clause.tokens)
        args |= given.quoted_arguments(spec, clause.text, columns)
        taken = clause.taken | request.others
        numbers = given.number_arguments(spec, clause.tokens, taken, clause.text)
        self.troubles += given.number_troubles(spec, clause.tokens, taken, clause.text, numbers)
        args |= numbers
        for one in spec.parameters:
            if one.required and one.name not in args and one.type not in ("column", "columns"):
                options = f": one of {listed(one.choices, 20)}" if one.choices else f" ({one.description})"
                self.troubles.append(
                    f'"{clause.text}" asks for {spec.name}, but does not say the {one.name}{options}'
                )
        return args

    def _append(self, request: Request, args: Document, binding: Document, distinct: Sequence[str] = ()) -> str:
        subtask_id = self._free_id(request.spec.name, distinct)
        work: Document = {"kind": "skill", "skill": request.spec.name}
        if args:
            work["args"] = args
        title = (
            _title(request.clause.text)
            if not distinct
            else f"{_title(request.clause.text)} ({' '.join(distinct)})"
        )
        self.subtasks.append({"id": subtask_id, "title": title, "work": work, **binding})
        return subtask_id

    def _free_id(self, skill: str, distinct: Sequence[str]) -> str:
        words = [skill.rpartition(".")[2].replace("_", "-"), *distinct]
        base = re.sub(r"[^a-z0-9_-]+", "-", "-".join(words).lower())[:_ID_CHARACTERS].strip("-")
        base = base if base[:1].isalpha() else f"s-{base}"
        used = {one["id"] for one in self.subtasks}
        return next(name for name in _numbered(base) if name not in used)


def _numbered(base: str) -> Iterator[str]:
    yield base
    number = 1
    while True:
        number += 1
        yield f"{base}-{number}"


def _columns_of(source: Source) -> str:
    return "only " + listed([f"{one.name} ({one.kind})" for one in source.columns], 12)


def _title(text: str) -> str:
    words = " ".join(text.split())
    cut = words if len(words) <= _TITLE_CHARACTERS else words[:_TITLE_CHARACTERS].rpartition(" ")[0] + "…"
    return cut[:1].upper() + cut[1:]


def _patterns(chosen: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Patterns that match the chosen names and no others: one for all where that is possible."""
    if set(chosen) == set(names) and len(names) > 1:
        yield "*"
        return
    by_ending: Mapping[str, list[str]] = {}
    endings: dict[str, list[str]] = {}
    for name in chosen:
        endings.setdefault("." + name.rpartition(".")[2], []).append(name)
    by_ending = endings
    for ending, some in by_ending.items():
        others = [name for name in names if name.endswith(ending) and name not in some]
        if len(some) > 1 and not others:
            yield f"*{_escaped(ending)}"
        else:
            yield from (_escaped(name) for name in some)


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
