"""Which skill a clause asks for, how surely, and by which of its words.

A skill is accepted only where one of its own phrases stands in the clause, and where the words before the
first preposition are mostly its own: `train a neural network on the topics` names topics, but asks for
something that no skill does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from nadg.domain.skill import SkillSpec
from nadg.planning.builtin.lexicon import DETERMINERS, DRAWINGS, OTHER_DRAWINGS, PREPOSITIONS
from nadg.planning.builtin.vocabulary import Entry, Phrase, Vocabulary
from nadg.planning.builtin.words import Token

_TAIL_SHARE = 0.75
_LOOSE_SHARE = 0.8
_SMALL_WORD_SHARE = 0.3
_LONGEST_GAP = 3
_MULTIWORD_BONUS = 0.25
_LEAST_HEAD_SHARE = 0.5


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A skill held against a clause."""

    spec: SkillSpec
    score: float
    strong: frozenset[int]
    """Places of the words of its phrases."""
    known: frozenset[int]
    """Places of all words that it is known by."""
    accepted: bool


Fit = Callable[[SkillSpec], float]
"""How well the inputs, and the columns in the clause, suit a skill: 1 is neutral."""


def matches(
    clause: Sequence[Token],
    taken: Collection[int],
    vocabulary: Vocabulary,
    fit: Fit,
    without: Collection[int] = (),
) -> list[Match]:
    """Every skill with some word in the clause, best first.

    `taken` are the places of column and file names: they count neither for nor against. `without` are places
    to overlook, because another skill has explained them.
    """
    head = _head(clause, taken)
    found = [_match(entry, clause, taken, vocabulary, fit, head, without) for entry in vocabulary.entries]
    return sorted(
        (one for one in found if one.score > 0), key=lambda one: (-one.accepted, -one.score, one.spec.name)
    )


def _match(
    entry: Entry,
    clause: Sequence[Token],
    taken: Collection[int],
    vocabulary: Vocabulary,
    fit: Fit,
    head: frozenset[int],
    without: Collection[int],
) -> Match:
    gains: dict[int, float] = {}
    strong: set[int] = set()
    known = {at for at, token in enumerate(clause) if token.stem in entry.weights and at not in without}
    for at in known - set(taken):
        if clause[at].has_content:
            gains[at] = entry.weights[clause[at].stem]
    for phrase in entry.phrases:
        places, share = _places(phrase, clause, without)
        telling = {place for place in places if clause[place].stem in phrase.content}
        if telling <= set(taken):
            continue
        strong.update(places)
        weight = phrase.weight * share * (1 + _MULTIWORD_BONUS * (len(places) - 1))
        for place in set(places) - set(taken):
            share = 1.0 if place in telling else _SMALL_WORD_SHARE
            gains[place] = max(gains.get(place, 0), weight * share)
    score = sum(
        gain * vocabulary.rarity(clause[at].stem) * (1 if at in head else _TAIL_SHARE)
        for at, gain in gains.items()
    )
    accepted = bool(strong) and _head_is_known(clause, head, known | strong | set(taken) | set(without))
    return Match(
        spec=entry.spec,
        score=score * fit(entry.spec),
        strong=frozenset(strong),
        known=frozenset(known | strong),
        accepted=accepted,
    )


def _places(phrase: Phrase, clause: Sequence[Token], without: Collection[int]) -> tuple[list[int], float]:
    """Where a phrase stands in the clause: word for word, or its content words in order with small gaps."""
    stems = [token.stem if at not in without else "" for at, token in enumerate(clause)]
    width = len(phrase.stems)
    for start in range(len(stems) - width + 1):
        places = list(range(start, start + width))
        empty = phrase.has_content and not any(clause[at].has_content for at in places)
        if tuple(stems[start : start + width]) == phrase.stems and not empty:
            return places, 1.0
    if not any(clause[at].has_content for at, stem in enumerate(stems) if stem in phrase.content):
        return [], 0.0
    # A phrase of one telling word, such as `save as`, needs its small words too; others only what tells.
    loose = phrase.content if len(phrase.content) > 1 else phrase.stems
    if len(loose) == 1:
        return [], 0.0
    places = []
    for wanted in loose:
        limit = len(stems) if not places else min(len(stems), places[-1] + 1 + _LONGEST_GAP)
        start = places[-1] + 1 if places else 0
        found = next((at for at in range(start, limit) if stems[at] == wanted), None)
        if found is None:
            return [], 0.0
        places.append(found)
    return places, _LOOSE_SHARE


def _head(clause: Sequence[Token], taken: Collection[int]) -> frozenset[int]:
    """The words up to the first preposition that has content before it."""
    head: list[int] = []
    content = False
    for at, token in enumerate(clause):
        if token.text in PREPOSITIONS and content:
            break
        content = content or token.has_content or at in taken
        head.append(at)
    return frozenset(head)


def _head_is_known(clause: Sequence[Token], head: Iterable[int], known: Collection[int]) -> bool:
    content = [at for at in sorted(head) if clause[at].has_content]
    unknown = [at for at in content if at not in known]
    if not unknown:
        return True
    if any(_is_other_drawing(clause, at) for at in unknown):
        return False
    first = next(at for at in sorted(head) if clause[at].has_content or at in known)
    follower = clause[first + 1].text if first + 1 < len(clause) else ""
    if first in unknown and follower in DETERMINERS:
        return False  # an order that begins with a verb which the skill does not know
    return len(content) - len(unknown) >= _LEAST_HEAD_SHARE * len(content)


def _is_other_drawing(clause: Sequence[Token], at: int) -> bool:
    """`pie` before `chart`."""
    return clause[at].text in OTHER_DRAWINGS and at + 1 < len(clause) and clause[at + 1].text in DRAWINGS
