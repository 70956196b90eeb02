"""Names of columns and files that stand in a clause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from nadg.domain.inputs import Column
from nadg.planning.builtin.words import Token, name_tokens

Role = Literal["plain", "by", "against"]

_BY = frozenset(("per", "by", "each", "every", "across", "within", "on"))
_AGAINST = frozenset(("against", "versus", "vs", "over", "with"))
_LEAST_LETTERS = 3


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """A column named in a clause: `price per region` mentions one plainly and one after `per`."""

    column: str
    places: tuple[int, ...]
    role: Role
    exact: bool


def column_mentions(clause: Sequence[Token], columns: Sequence[Column]) -> list[Mention]:
    """The columns that a clause names, whole names first, in the order in which they stand there."""
    found: dict[str, Mention] = {}
    used: set[int] = set()
    named = sorted(((name_tokens(one.name), one.name) for one in columns), key=lambda pair: -len(pair[0]))
    for words, name in named:
        for places in _runs(clause, [word.stem for word in words], used):
            used.update(places)
            found.setdefault(name, _mention(clause, name, places, True))
    shortened = _short_names(columns)
    for at, token in enumerate(clause):
        near = shortened.get(token.text) or shortened.get(token.stem)
        if at in used or near is None or near in found or not token.has_content:
            continue
        used.add(at)
        found[near] = _mention(clause, near, (at,), False)
    return sorted(found.values(), key=lambda one: one.places)


def _runs(clause: Sequence[Token], stems: Sequence[str], used: set[int]) -> Iterable[tuple[int, ...]]:
    """Where the words of a name stand side by side, also written together or apart."""
    width = len(stems)
    if not width:
        return
    written = "".join(stems)
    for start in range(len(clause)):
        for length in sorted({width, 1, 2, 3}, key=lambda one: one != width):
            places = tuple(range(start, start + length))
            if start + length > len(clause) or used.intersection(places):
                continue
            words = [clause[at].text for at in places[:-1]] + [clause[places[-1]].stem]
            same = length == width and [clause[at].stem for at in places] == list(stems)
            if same or "".join(words) == written:
                yield places
                break


def _short_names(columns: Sequence[Column]) -> dict[str, str]:
    """Single words and initials that can only mean one column: `weight` and `mpg`."""
    owners: dict[str, list[str]] = {}
    for column in columns:
        words = name_tokens(column.name)
        initials = "".join(word.text[0] for word in words)
        short = {word.stem for word in words if word.has_content and len(word.text) >= _LEAST_LETTERS}
        if len(words) > 1 and len(initials) >= _LEAST_LETTERS:
            short.add(initials)
        for one in short:
            owners.setdefault(one, []).append(column.name)
    return {short: names[0] for short, names in owners.items() if len(names) == 1}


def _mention(clause: Sequence[Token], name: str, places: tuple[int, ...], exact: bool) -> Mention:
    return Mention(column=name, places=places, role=role_at(clause, places[0]), exact=exact)


def role_at(clause: Sequence[Token], place: int) -> Role:
    """What the word before a place makes of it; articles between are skipped."""
    before = [
        token.text for token in clause[max(0, place - 2) : place] if token.text not in ("the", "its", "their")
    ]
    if before and before[-1] in _BY:
        return "by"
    return "against" if before and before[-1] in _AGAINST else "plain"


def file_mentions(clause: Sequence[Token], names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The files that a clause names, with or without their ending, and the places of the names."""
    found: dict[str, tuple[int, ...]] = {}
    for name in names:
        whole = name_tokens(name)
        stem_words = name_tokens(name.rpartition(".")[0])
        for words in (whole, stem_words):
            stems = [word.stem for word in words]
            if not stems or not any(len(word.text) >= _LEAST_LETTERS for word in words):
                continue
            starts = range(len(clause) - len(stems) + 1)
            start = next(
                (at for at in starts if [token.stem for token in clause[at : at + len(stems)]] == stems), None
            )
            if start is not None:
                found[name] = tuple(range(start, start + len(stems)))
                break
    return found
