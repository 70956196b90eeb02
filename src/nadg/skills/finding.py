"""The form of a skill's result: what a person should read first, then tables, pictures and the plain data.

    {"kind": "text.sentiment", "title": "Sentiment", "headline": "one sentence", "notes": ["more sentences"],
     "tables": [{"title": ..., "columns": [...], "rows": [[...]]}], "pictures": [{"file": ..., "caption": ...}],
     ...whatever else the skill has to say, under its own names}

A report can show any result of this form, whoever wrote the skill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from nadg.skills.plain import Json, plain


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A small table for people; the whole data belongs into a file."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that the skill wrote into its folder."""

    file: str
    caption: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a skill found. `data` stands at the top level of the result, for other code to read."""

    title: str
    headline: str
    notes: Sequence[str] = ()
    tables: Sequence[Shown] = ()
    pictures: Sequence[Picture] = ()
    files: Sequence[str] = ()
    """Other files it wrote that a person would want."""
    data: Mapping[str, object] = {}

    def document(self, kind: str) -> Json:
        """The result as plain JSON data. Raises ValueError where `data` uses a name of the form itself."""
        form = {
            "kind": kind,
            "title": self.title,
            "headline": self.headline,
            "notes": list(self.notes),
            "tables": [{"title": one.title, "columns": one.columns, "rows": one.rows} for one in self.tables],
            "pictures": [{"file": one.file, "caption": one.caption} for one in self.pictures],
            "files": list(self.files),
        }
        if clash := form.keys() & self.data.keys():
            raise ValueError(f"{kind}: data may not use the names {', '.join(sorted(clash))}")
        return plain({**form, **self.data})
