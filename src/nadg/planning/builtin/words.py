"""Words of a command as the matching sees them: tokens with their stems.

The stemmer is small on purpose: it only has to give the forms of one word one stem, and the same stem for
British and American spelling; it need not give anything readable.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from nadg.planning.builtin.lexicon import GENERIC_NOUNS, GENERIC_VERBS, GRAMMAR

_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:['’]s\b)?")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

_FAMILIES = (
    ("analy", "analy"),
    ("visuali", "visual"),
    ("statist", "statist"),
    ("summar", "summar"),
    ("categor", "categor"),
    ("classif", "classif"),
    ("descri", "describ"),
    ("duplica", "duplic"),
    ("dedup", "duplic"),
    ("conver", "convert"),
    ("clean", "clean"),
    ("greyscal", "grayscal"),
    ("grayscal", "grayscal"),
    ("grey", "gray"),
    ("colour", "color"),
    ("freque", "frequ"),
    ("thumbnail", "thumbnail"),
    ("emoti", "emot"),
)
"""Beginnings that stand for all words that have them."""
_SUFFIXES = (
    "izations",
    "ization",
    "ations",
    "ation",
    "izing",
    "izes",
    "ized",
    "ize",
    "ings",
    "ing",
    "ions",
    "ion",
    "edly",
    "ed",
    "ies",
    "ly",
    "s",
)
_IRREGULAR = {"stats": "statist", "stat": "statist", "pics": "pictur", "pic": "pictur", "photos": "photo",
              "correlate": "correl", "correlates": "correl", "correlated": "correl", "correlations": "correl",
              "correlation": "correl", "happiness": "happi", "averages": "averag", "avg": "averag",
              "indices": "index", "tidies": "tidi", "tidying": "tidi"}  # fmt: skip


class Token(NamedTuple):
    """A word or number of a text."""

    text: str
    """Lower case, without a possessive ending."""
    stem: str
    start: int
    stop: int

    @property
    def is_number(self) -> bool:
        return self.text[0].isdigit()

    @property
    def has_content(self) -> bool:
        """Whether the word says something about what is to be done."""
        return not (
            self.is_number or self.text in GRAMMAR or self.text in GENERIC_VERBS or self.text in GENERIC_NOUNS
        )


def tokens(text: str) -> list[Token]:
    """The words and numbers of a text, in order; `Weight_in_lbs` is three words."""
    return list(_tokens(text))


@functools.lru_cache(maxsize=4096)
def _tokens(text: str) -> tuple[Token, ...]:
    found = []
    for match in _TOKEN.finditer(text):
        word = re.sub(r"['’]s$", "", match.group().lower())
        found.append(Token(word, stem(word), match.start(), match.end()))
    return tuple(found)


def name_tokens(name: str) -> list[Token]:
    """The words of a column or file name, camel case taken apart."""
    return tokens(_CAMEL.sub(" ", name))


@functools.lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """What all forms of one word have in common."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for beginning, family in _FAMILIES:
        if word.startswith(beginning):
            return family
    return _strip(_american(word))


def _american(word: str) -> str:
    if len(word) > 5:
        word = re.sub(r"is(e|es|ed|ing|ation|ations|er|ers)$", r"iz\1", word)
        word = re.sub(r"ys(e|es|ed|ing)$", r"yz\1", word)
    return re.sub(r"our(s|ed|ing)?$", r"or\1", word) if len(word) > 4 else word


def _strip(word: str) -> str:
    for suffix in _SUFFIXES:
        if not word.endswith(suffix) or len(word) - len(suffix) < 3:
            continue
        if suffix == "s" and word.endswith(("ss", "us", "is")):
            continue
        word = word[: -len(suffix)] + ("y" if suffix == "ies" else "")
        if suffix in ("ing", "ings", "ed") and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
            word = word[:-1]
        break
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") and len(word) > 3 else word
