"""Words and sentences of a text, without a language model: what the text skills count and compare."""

from __future__ import annotations

import re
from collections.abc import Iterator

WORD_PATTERN = r"(?u)\b[^\W\d_][\w]*(?:['’-][^\W\d_]+)*"
"""A word starts with a letter and may hold digits, apostrophes and hyphens."""
_WORD = re.compile(WORD_PATTERN)
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?\w)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|no|fig|approx|inc|ltd|jr|sr)|\b[a-z])\.$", re.I
)

_STOP_WORDS = """
a about above after again against all also am an and any are aren't as at be because been before being below
between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each
even few for from further get got had hadn't has hasn't have haven't having he he'd he'll he's her here hers
herself him himself his how i i'd i'll i'm i've if in into is isn't it it's its itself just let's like me more
most much my myself no nor not of off on once one only or other our ours ourselves out over own really same
she she'd she'll she's should shouldn't so some still such than that that's the their theirs them themselves
then there there's these they they'd they'll they're they've this those through to too under until up us very
was wasn't we we'd we'll we're we've were weren't what what's when where which while who whom why will with
won't would wouldn't you you'd you'll you're you've your yours yourself yourselves dont doesnt didnt cant wont
isnt im ive id thats youre well also may might must shall upon within without yet however though although
since way lot bit thing things something anything everything many every another else ever never always first
two use used using
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words too common in English to tell one text from another."""


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case, in order."""
    return [found.replace("’", "'") for found in _WORD.findall(text.lower())]


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of a text. A paragraph always ends one; common abbreviations do not."""
    for paragraph in re.split(r"\n\s*\n", text):
        held = ""
        for piece in _SENTENCE_END.split(" ".join(paragraph.split())):
            held = f"{held} {piece}".strip()
            if held and not _ABBREVIATION.search(held):
                yield held
                held = ""
        if held:
            yield held
