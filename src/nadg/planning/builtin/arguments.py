"""The arguments that a clause gives a skill: numbers, choices, switches and quoted texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from nadg.domain.skill import Parameter, SkillSpec
from nadg.planning.builtin.lexicon import GENERIC_NOUNS
from nadg.planning.builtin.words import Token, name_tokens, stem

_NUMBER_WORDS = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "fifty": 50,
    "hundred": 100,
}
_SAME_AS = {
    "px": ("pixel",),
    "pix": ("pixel",),
    "wide": ("width",),
    "broad": ("width",),
    "tall": ("height",),
    "high": ("height",),
    "top": ("count", "limit"),
    "clusters": ("count",),
    "dpi": ("resolution",),
    "percent": ("percent", "quality", "threshold", "share"),
}
"""Words beside a number, and the words of parameters that they stand for."""
_CHOICE_NAMES = {
    "average": "mean",
    "avg": "mean",
    "averages": "mean",
    "total": "sum",
    "totals": "sum",
    "jpg": "jpeg",
    "tif": "tiff",
    "minimum": "min",
    "lowest": "min",
    "smallest": "min",
    "maximum": "max",
    "highest": "max",
    "largest": "max",
    "counts": "count",
    "counting": "count",
    "remove": "drop",
    "removing": "drop",
    "delete": "drop",
    "deleting": "drop",
    "discard": "drop",
    "impute": "fill",
    "imputing": "fill",
    "replace": "fill",
}
_NEGATIONS = frozenset(("without", "no", "not", "excluding", "except", "ignore", "ignoring"))
_QUOTED = re.compile(r"[\"“]([^\"”]{1,500})[\"”]|(?<!\w)['‘]([^'’]{1,500})['’](?!\w)")
_COUNTING = re.compile(r"\b(?:number\s+of|how\s+many)\b", re.I)
Arguments = dict[str, object]


def number_arguments(spec: SkillSpec, clause: Sequence[Token], taken: Collection[int], text: str) -> Arguments:
    """A value for every number in the clause; a number that fits no parameter is left for `idle_numbers`."""
    open_parameters = [one for one in spec.parameters if one.type in ("integer", "number")]
    found: Arguments = {}
    pair = _size_pair(open_parameters, clause, taken)
    if pair:
        return pair
    for at, value in numbers_in(clause, taken):
        ranked = sorted(
            (one for one in open_parameters if one.name not in found),
            key=lambda one: -_nearness(one, clause, at),
        )
        percent = text[clause[at].stop : clause[at].stop + 1] == "%" or _word(clause, at + 1) in (
            "percent",
            "per cent",
        )
        for parameter in ranked:
            fitted = _fitted(parameter, value, percent)
            if fitted is not None:
                found[parameter.name] = fitted
                break
    return found


def numbers_in(clause: Sequence[Token], taken: Collection[int]) -> Iterator[tuple[int, float]]:
    """Place and value of each number, digits or word."""
    for at, token in enumerate(clause):
        if at in taken:
            continue
        if token.is_number:
            yield at, float(token.text)
        elif token.text in _NUMBER_WORDS:
            yield at, float(_NUMBER_WORDS[token.text])


def _size_pair(parameters: Sequence[Parameter], clause: Sequence[Token], taken: Collection[int]) -> Arguments:
    """`800x600` for a skill that has a width and a height."""
    names = {one.name for one in parameters}
    for at in range(len(clause) - 2):
        first, middle, last = clause[at : at + 3]
        pair = first.is_number and middle.text in ("x", "×", "by") and last.is_number and at not in taken
        if pair and {"width", "height"} <= names:
            return {"width": int(float(first.text)), "height": int(float(last.text))}
    return {}


def _word(clause: Sequence[Token], at: int) -> str:
    return clause[at].text if 0 <= at < len(clause) else ""


def _nearness(parameter: Parameter, clause: Sequence[Token], at: int) -> float:
    """How much the words around a number speak of a parameter."""
    name = {token.stem for token in name_tokens(parameter.name)}
    description = {token.stem for token in name_tokens(parameter.description) if token.text not in ("of", "the")}
    score = 0.0
    for distance in (1, -1, 2, -2):
        text = _word(clause, at + distance)
        stems = {stem(text), *_SAME_AS.get(text, ())} if text else set()
        closeness = 1.0 if distance == 1 else 0.6
        score += closeness * (3 * bool(stems & name) + bool(stems & description))
    return score


def _fitted(parameter: Parameter, value: float, percent: bool) -> int | float | None:
    """The value as this parameter takes it; None where it cannot."""
    if percent:
        if parameter.maximum is not None and parameter.maximum <= 1:
            value /= 100
        elif parameter.maximum != 100:
            return None
    low = parameter.minimum if parameter.minimum is not None else float("-inf")
    high = parameter.maximum if parameter.maximum is not None else float("inf")
    if not low <= value <= high:
        return None
    if parameter.type == "integer":
        return int(value) if value.is_integer() else None
    return value


def choice_arguments(
    spec: SkillSpec, clause: Sequence[Token], taken: Collection[int], text: str = ""
) -> Arguments:
    """The choices that the clause names, those after `to`, `as` and `into` first."""
    found: Arguments = {}
    spent: set[int] = set()
    words = {token.stem for token in clause}
    open_parameters = [one for one in spec.parameters if one.type == "string" and one.choices]
    open_parameters.sort(key=lambda one: not {word.stem for word in name_tokens(one.name)} <= words)
    for parameter in open_parameters:
        choices = {stem(choice): choice for choice in parameter.choices}
        named = [
            (_word(clause, at - 1) not in ("to", "as", "into", "in"), at, choices[meant])
            for at, token in enumerate(clause)
            if at not in taken
            and at not in spent
            and (meant := stem(_CHOICE_NAMES.get(token.text, token.text))) in choices
        ]
        if not named and "count" in parameter.choices and _COUNTING.search(text):
            found[parameter.name] = "count"
        if named:
            _, at, found[parameter.name] = min(named)
            spent.add(at)
    return found


def switch_arguments(spec: SkillSpec, clause: Sequence[Token]) -> Arguments:
    """Booleans whose whole name stands in the clause, off where a negation stands before it."""
    found: Arguments = {}
    stems = [token.stem for token in clause]
    for parameter in spec.parameters:
        if parameter.type != "boolean":
            continue
        words = [token.stem for token in name_tokens(parameter.name)]
        for at in range(len(stems) - len(words) + 1):
            if stems[at : at + len(words)] == words:
                before = {token.text for token in clause[max(0, at - 2) : at]}
                found[parameter.name] = not before & _NEGATIONS
    return found


def quoted_arguments(spec: SkillSpec, text: str, columns: Collection[str]) -> Arguments:
    """Quoted texts for the free text parameters, in order; a quoted column is no text."""
    quoted = [one for pair in _QUOTED.findall(text) if (one := pair[0] or pair[1]) not in columns]
    found: Arguments = {}
    for parameter in spec.parameters:
        if not quoted:
            break
        if parameter.type == "strings":
            found[parameter.name] = quoted
            break
        if parameter.type == "string" and not parameter.choices:
            found[parameter.name] = quoted.pop(0)
    return found


def number_troubles(
    spec: SkillSpec, clause: Sequence[Token], taken: Collection[int], text: str, used: Arguments
) -> Iterator[str]:
    """Sentences about numbers that the skill has no use for; `the 3 files` only counts them."""
    values = [float(value) for value in used.values() if isinstance(value, int | float)]
    for at, value in numbers_in(clause, taken):
        if value in values or value / 100 in values:
            continue
        counts_things = at + 1 < len(clause) and clause[at + 1].text in GENERIC_NOUNS
        if counts_things or not clause[at].is_number:
            continue
        numeric = [one for one in spec.parameters if one.type in ("integer", "number")]
        takes = "; ".join(f"{one.name} takes {_span(one)}" for one in numeric) or "it takes no number"
        yield f'"{text}" says {clause[at].text}, which {spec.name} has no use for: {takes}'


def _span(parameter: Parameter) -> str:
    noun = "a whole number" if parameter.type == "integer" else "a number"
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        return f"{noun} from {low:g} to {high:g}"
    return noun if low is None else f"{noun} of at least {low:g}"
