"""How often words and phrases occur."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Part, Picture, Range, RawTable, Shown, skill
from nadg.skills.text.tokens import STOP_WORDS, words_of
from nadg.skills.wording import counted
from nadg.skills.writing import write_csv

FILE = "words.csv"
PICTURE = "words.png"
_COLUMNS = ("phrase", "words", "count")
_DRAWN = 30
"""More bars are not read."""
_SIZES = {1: "words", 2: "pairs of words", 3: "phrases of three words", 4: "phrases of four words"}


def merge_words(parts: Sequence[Part], count: int) -> Finding:
    """The counts of all parts added up, and the first `count` of each length shown."""
    counts: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for part in parts:
        counts.update(dict(_read(part.folder / FILE)))
        if isinstance(part.result, dict):
            totals.update({name: int(part.result[name]) for name in ("texts", "words")})
    if not counts:
        raise UserError(
            "text.words: the texts hold no words to count; choose another column or set `stop_words: true`"
        )
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    write_csv(FILE, _COLUMNS, ([phrase, phrase.count(" ") + 1, count] for phrase, count in ranked))
    by_size = {size: [pair for pair in ranked if pair[0].count(" ") + 1 == size][:count] for size in _SIZES}
    _draw({size: pairs[:_DRAWN] for size, pairs in by_size.items() if pairs})
    phrase, times = ranked[0]
    different = sum(" " not in one for one in counts)
    return Finding(
        title="Words",
        headline=f"{counted(totals['words'], 'word')} in {counted(totals['texts'], 'text')}, "
        f"{different:,} different ones counted; the most frequent is “{phrase}” ({times:,} times).",
        tables=[
            Shown(title=f"Most frequent {_SIZES[size]}", columns=["Phrase", "Count"], rows=pairs)
            for size, pairs in by_size.items()
            if pairs
        ],
        pictures=[Picture(file=PICTURE, caption="The most frequent words and phrases")],
        files=[FILE],
        data={
            "texts": totals["texts"],
            "total_words": totals["words"],
            "different_words": different,
            "top": {str(size): dict(pairs) for size, pairs in by_size.items() if pairs},
        },
    )


@skill(
    "text.words",
    synonyms=(
        "word count",
        "word counts",
        "count words",
        "word frequency",
        "word frequencies",
        "most common words",
        "most frequent words",
        "n-grams",
        "ngrams",
        "bigrams",
        "trigrams",
        "phrase counts",
        "vocabulary",
    ),
    examples=(
        "count words",
        "count how often each word occurs",
        "what are the most common words",
        "list the top bigrams",
        "top words",
        "word frequencies of the reviews",
    ),
    maps_over="rows",
    merge=merge_words,
    produces=(FILE, PICTURE),
)
def words(
    table: RawTable,
    column: Annotated[str, Column("text", pick=True), "The column that holds the text."] = "",
    longest: Annotated[int, Range(1, 4), "Words in the longest phrase that is counted."] = 2,
    count: Annotated[int, Range(1, 1000), "How many of the most frequent ones to show."] = 15,
    stop_words: Annotated[bool, "Count words such as `the` and `of` as well."] = False,
) -> dict[str, object]:
    """Count words and phrases."""
    counts: Counter[str] = Counter()
    total = 0
    for text in table[column]:
        found = words_of(text)
        total += len(found)
        counts.update(_phrases(found, longest, stop_words))
    write_csv(FILE, _COLUMNS, ([phrase, phrase.count(" ") + 1, count] for phrase, count in sorted(counts.items())))
    return {"texts": len(table), "words": total}


def _phrases(found: Sequence[str], longest: int, stop_words: bool) -> Iterable[str]:
    """Every run of up to `longest` words; a stop word may stand within a phrase, not at its ends."""
    for size in range(1, longest + 1):
        for start in range(len(found) - size + 1):
            run = found[start : start + size]
            if stop_words or not (run[0] in STOP_WORDS or run[-1] in STOP_WORDS):
                yield " ".join(run)


def _read(file: Path) -> Iterable[tuple[str, int]]:
    with file.open(encoding="utf-8", newline="") as lines:
        yield from ((phrase, int(count)) for phrase, _, count in list(csv.reader(lines))[1:])


def _draw(by_size: dict[int, list[tuple[str, int]]]) -> None:
    from nadg.skills.charts.style import PALETTE, bars, picture

    longest = max(len(pairs) for pairs in by_size.values())
    width = 5.4 * len(by_size) if len(by_size) > 1 else 8
    with picture(PICTURE, width=width, height=1.4 + 0.3 * longest, columns=len(by_size)) as (_, panels):
        for axes, color, (size, pairs) in zip(panels, PALETTE, by_size.items(), strict=False):
            bars(axes, [phrase for phrase, _ in pairs], [count for _, count in pairs], colors=color)
            axes.set_title(f"Most frequent {_SIZES[size]}")
            axes.set_xlabel("Occurrences")
