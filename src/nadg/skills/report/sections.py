"""A subtask's result, of whatever form, as a section: its main sentence, its tables, its pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from nadg.domain.file_names import name_of_bytes, shown_name
from nadg.domain.unpacked_paths import unpacked_paths
from nadg.skills.report import markdown
from nadg.skills.wording import counted, listed, number, shortened, spaced

PICTURE_FILES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
_MOST_ROWS = 25
_MOST_PICTURES = 12
_MOST_FILES = 20
_MOST_TEXT = 4000


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one subtask. `headline` is its main finding, empty where none is known."""

    subtask: str
    title: str
    headline: str = ""
    notes: tuple[str, ...] = ()
    tables: tuple[tuple[str, Sequence[object], Sequence[Sequence[object]]], ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    """File and caption of each."""
    files: tuple[str, ...] = ()
    text: str = ""
    """Markdown or plain text that the subtask itself wrote."""


def section_of(subtask: str, result: object, folder: Path | None) -> Section:
    """Read a result of the known form as it is meant, and any other as well as it goes."""
    made = files_in(folder)
    if isinstance(result, Mapping):
        return _finding(subtask, result, made) if "headline" in result else _mapping(subtask, result, made)
    if (
        isinstance(result, list)
        and result
        and all(isinstance(one, Mapping) and "headline" in one for one in result)
    ):
        return _many_findings(subtask, result, made)
    return _anything(subtask, result, made)


def files_in(folder: Path | None) -> list[str]:
    """The names of the artifacts in a folder, sorted."""
    if folder is None or not folder.is_dir():
        return []
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(name_of_bytes(os.fsencode(file)) for file in files)


def rendered(section: Section, prefix: str) -> str:
    """The section as Markdown; picture and file links start with `prefix` and go to where files are unpacked."""
    paths = unpacked_paths([*(file for file, _ in section.pictures), *section.files])
    blocks = [f"## {markdown.escaped(section.title)}"]
    if section.headline:
        blocks.append(markdown.escaped(section.headline))
    if section.notes:
        blocks.append("\n".join(f"- {markdown.escaped(note)}" for note in section.notes))
    if section.text:
        blocks.append("\n".join(f"> {line}".rstrip() for line in section.text.splitlines()))
    for title, columns, rows in section.tables:
        blocks.append(f"**{markdown.escaped(title)}**")
        blocks.append(markdown.table(columns, rows[:_MOST_ROWS]))
        if len(rows) > _MOST_ROWS:
            blocks.append(f"*… and {counted(len(rows) - _MOST_ROWS, 'more row')}.*")
    blocks += [
        f"{markdown.picture(caption, prefix + paths[file])}\n\n*{markdown.escaped(caption)}*"
        for file, caption in section.pictures[:_MOST_PICTURES]
    ]
    if len(section.pictures) > _MOST_PICTURES:
        blocks.append(f"*… and {counted(len(section.pictures) - _MOST_PICTURES, 'more picture')}.*")
    if section.files:
        links = [markdown.file_link(shown_name(name), prefix + paths[name]) for name in section.files]
        blocks.append(f"Files: {listed(links, most=_MOST_FILES)}")
    return "\n\n".join(blocks)


def _finding(subtask: str, result: Mapping[str, object], made: Sequence[str]) -> Section:
    pictures = tuple(
        (str(one["file"]), str(one.get("caption", one["file"])))
        for one in _mappings(result.get("pictures"))
        if one.get("file") in made
    )
    shown = {file for file, _ in pictures}
    return Section(
        subtask=subtask,
        title=str(result.get("title") or spaced(subtask).capitalize()),
        headline=str(result["headline"]),
        notes=tuple(str(note) for note in _listed(result.get("notes"))),
        tables=tuple(
            (
                str(one.get("title", "")),
                _listed(one.get("columns")),
                [_listed(row) for row in _listed(one.get("rows"))],
            )
            for one in _mappings(result.get("tables"))
        ),
        pictures=pictures + tuple((name, name) for name in made if _is_picture(name) and name not in shown),
        files=tuple(name for name in made if not _is_picture(name)),
    )


def _many_findings(subtask: str, results: Sequence[Mapping[str, object]], made: Sequence[str]) -> Section:
    """One finding per file, such as resized pictures: a line each, under the title they share."""
    sections = [_finding(subtask, one, made) for one in results]
    shown = {file: caption for section in sections for file, caption in section.pictures if file != caption}
    return Section(
        subtask=subtask,
        title=sections[0].title,
        headline=f"{counted(len(sections), 'result')}.",
        tables=(
            ("Results", ["#", "Result"], [[place, one.headline] for place, one in enumerate(sections, start=1)]),
        ),
        pictures=tuple((name, shown.get(name, name)) for name in made if _is_picture(name)),
        files=tuple(name for name in made if not _is_picture(name)),
    )


def _mapping(subtask: str, result: Mapping[str, object], made: Sequence[str]) -> Section:
    """A plain object: its simple values as a table, each list of objects as a table of its own."""
    simple = [[key, _short(value)] for key, value in result.items() if not _is_records(value)]
    tables = [("Result", ["Name", "Value"], simple)] if simple else []
    records = [_records(str(key), value) for key, value in result.items() if _is_records(value)]
    return _plain(subtask, made, tables=(*tables, *records))


def _anything(subtask: str, result: object, made: Sequence[str]) -> Section:
    if result is None:
        return _plain(subtask, made, headline="" if made else "It gave no result.")
    if isinstance(result, bool | int | float):
        stated = number(result) if not isinstance(result, bool) else str(result).lower()
        return _plain(subtask, made, headline=f"The result is {stated}.")
    if isinstance(result, str):
        return _plain(subtask, made, text=result.strip()[:_MOST_TEXT])
    if _is_records(result):
        return _plain(subtask, made, tables=(_records("Results", result),))
    values = [[place, _short(value)] for place, value in enumerate(_listed(result), start=1)]
    table = ("Results", ["#", "Value"], values)
    return _plain(subtask, made, headline=f"{counted(len(values), 'result')}.", tables=(table,))


def _plain(
    subtask: str,
    made: Sequence[str],
    *,
    headline: str = "",
    text: str = "",
    tables: tuple[tuple[str, Sequence[object], Sequence[Sequence[object]]], ...] = (),
) -> Section:
    return Section(
        subtask=subtask,
        title=spaced(subtask.replace("-", " ")).capitalize(),
        headline=headline,
        text=text,
        tables=tables,
        pictures=tuple((name, spaced(Path(name).stem).capitalize()) for name in made if _is_picture(name)),
        files=tuple(name for name in made if not _is_picture(name)),
    )


def _records(title: str, value: object) -> tuple[str, Sequence[object], Sequence[Sequence[object]]]:
    rows = _mappings(value)
    columns = list(dict.fromkeys(key for row in rows[: 10 * _MOST_ROWS] for key in row))
    return title, columns, [[_short(row.get(column)) for column in columns] for row in rows]


def _short(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return shortened(json.dumps(value, ensure_ascii=False, default=str), 120)


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURE_FILES)


def _mappings(value: object) -> list[Mapping[str, object]]:
    return [one for one in _listed(value) if isinstance(one, Mapping)]


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []
