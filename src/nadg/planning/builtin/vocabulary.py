"""The words that each skill answers to, weighed by how much they tell it from the other skills."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from nadg.domain.skill import SkillSpec
from nadg.planning.builtin.lexicon import GRAMMAR
from nadg.planning.builtin.words import Token, name_tokens, tokens

_SYNONYM, _EXAMPLE, _SUMMARY, _DETAIL = 3.0, 2.5, 0.8, 0.4
_FIELD = 0.5
_WORD_OF_SYNONYM, _WORD_OF_EXAMPLE = 1.2, 0.8
_TYPO_LETTERS = 6
_TYPO_LIKENESS = 0.84


class Phrase(msgspec.Struct, frozen=True):
    """A run of words that stands for a skill."""

    stems: tuple[str, ...]
    content: tuple[str, ...]
    """The stems that carry meaning; all of them where none does."""
    weight: float
    has_content: bool


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A skill with its words."""

    spec: SkillSpec
    phrases: tuple[Phrase, ...]
    weights: Mapping[str, float]
    """Stem to how much it speaks for the skill, at its best place."""


class Vocabulary:
    """All skills' words; made once per command, in a few milliseconds."""

    def __init__(self, skills: Mapping[str, SkillSpec]) -> None:
        self.entries = tuple(_entry(spec) for spec in skills.values())
        spread = Counter(
            stem for entry in self.entries for stem, weight in entry.weights.items() if weight > _DETAIL
        )
        self._rarity = {stem: math.log(1 + len(self.entries) / count) for stem, count in spread.items()}
        named = {
            stem for entry in self.entries for stem, weight in entry.weights.items() if weight >= _WORD_OF_SYNONYM
        }
        self._long_stems = sorted(stem for stem in named if len(stem) >= _TYPO_LETTERS - 1)

    def rarity(self, stem: str) -> float:
        """High for a word of few skills; the lowest for one that no skill is known by."""
        return self._rarity.get(stem, 0.5)

    def mended(self, token: Token) -> Token:
        """The token with its stem replaced by a skill's word that it is a slip of, if any."""
        slip = token.has_content and token.stem not in self._rarity and len(token.text) >= _TYPO_LETTERS
        if not slip:
            return token
        same_start = [stem for stem in self._long_stems if stem[0] == token.stem[0]]
        near = difflib.get_close_matches(token.stem, same_start, 1, _TYPO_LIKENESS)
        return token._replace(stem=near[0]) if near else token

    def kept_texts(self) -> Iterator[str]:
        """Phrases with a word in them at which a command would be cut, such as `black and white`."""
        for entry in self.entries:
            for text in entry.spec.synonyms:
                if " and " in text or " & " in text or "." in text:
                    yield text


def _entry(spec: SkillSpec) -> Entry:
    weights: dict[str, float] = {}
    phrases = []
    field, _, verb = spec.name.rpartition(".")

    def learn(text: str, weight: float) -> None:
        for token in name_tokens(text):
            weights[token.stem] = max(weights.get(token.stem, 0), weight)

    for text in (verb.replace("_", " "), *spec.synonyms):
        phrase = _phrase(text, _SYNONYM)
        phrases.append(phrase)
        learn(text, _SYNONYM if len(phrase.content) == 1 else _WORD_OF_SYNONYM)
    for text in spec.examples:
        phrases.append(_phrase(text, _EXAMPLE))
        learn(text, _WORD_OF_EXAMPLE)
    learn(spec.summary, _SUMMARY)
    learn(field, _FIELD)
    for parameter in spec.parameters:
        learn(f"{parameter.name} {parameter.description} {' '.join(parameter.choices)}", _DETAIL)
    learn(spec.description, _DETAIL)
    return Entry(spec=spec, phrases=tuple(one for one in phrases if one.stems), weights=weights)


def _phrase(text: str, weight: float) -> Phrase:
    found = tokens(text)
    stems = tuple(token.stem for token in found)
    content = tuple(token.stem for token in found if token.has_content)
    if content and weight == _SYNONYM:  # `column chart` asks for both words; the example `clean the data` for one
        content = tuple(token.stem for token in found if token.text not in GRAMMAR)
    return Phrase(stems, content or stems, weight if content else weight / 2, bool(content))
