"""Whether a composed answer says what each claim rests on: `[subtask-id]` in every paragraph and list item."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_REFERENCE = re.compile(r"\[([a-z][a-z0-9_-]{0,62})\](?!\()")
_LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")
_HEADING = re.compile(r"#{1,6}\s")
_RULE = re.compile(r"[-*_=\s]{3,}$")


def references_in(text: str) -> list[str]:
    """The ids that are referred to, each once, in order."""
    return list(dict.fromkeys(_REFERENCE.findall(text)))


def unfounded_claims(text: str, known: Collection[str]) -> list[str]:
    """The claims that refer to no known subtask, or to one that does not exist."""
    return [claim for claim in _claims(text) if not _is_founded(claim, known)]


def founded_part(text: str, known: Collection[str]) -> str:
    """The answer without its unfounded claims, and without headings that nothing is left under."""
    kept = [block for block in _blocks(text) if not _is_claim(block) or _is_founded(block, known)]
    following = [*kept, "# end"][1:]
    whole = [
        block
        for block, after in zip(kept, following, strict=True)
        if not (_HEADING.match(block) and _HEADING.match(after) and _level(after) <= _level(block))
    ]
    return _joined(whole)


def _level(heading: str) -> int:
    return len(heading) - len(heading.lstrip("#"))


def _is_founded(claim: str, known: Collection[str]) -> bool:
    named = references_in(claim)
    return bool(named) and all(one in known for one in named)


def _claims(text: str) -> Iterator[str]:
    return (block for block in _blocks(text) if _is_claim(block))


def _is_claim(block: str) -> bool:
    return not _HEADING.match(block) and not _RULE.match(block)


def _blocks(text: str) -> list[str]:
    """Headings, paragraphs (a table is one) and list items with their further lines."""
    blocks: list[list[str]] = []
    fresh = True
    for line in text.strip().splitlines():
        if not line.strip():
            fresh = True
            continue
        begins = fresh or _HEADING.match(line) or _LIST_ITEM.match(line)
        if begins or not blocks or _HEADING.match(blocks[-1][0]):
            blocks.append([line])
        else:
            blocks[-1].append(line)
        fresh = False
    return ["\n".join(lines) for lines in blocks]


def _joined(blocks: list[str]) -> str:
    """Markdown again: list items below one another, all else apart."""
    text = ""
    for before, block in zip([None, *blocks], blocks, strict=False):
        together = before is not None and _LIST_ITEM.match(before) and _LIST_ITEM.match(block)
        text += ("\n" if together else "\n\n") + block
    return text.strip()
