"""Texts that say the same in nearly the same words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from nadg.skills.api import Column, Finding, Range, RawTable, Shown, skill
from nadg.skills.text.tokens import words_of
from nadg.skills.wording import counted, shortened
from nadg.skills.writing import free_name, write_csv

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # scipy ships no stubs

FILE = "duplicates.csv"
_BLOCK = 512
_SHOWN = 8


@skill(
    "text.duplicates",
    synonyms=(
        "duplicate",
        "duplicates",
        "near duplicates",
        "near-duplicates",
        "duplicate texts",
        "repeated texts",
        "same text twice",
        "similar texts",
        "copies",
        "plagiarism",
        "deduplicate",
        "dedupe",
    ),
    examples=(
        "find duplicates",
        "find near-duplicate reviews",
        "which texts are almost the same",
        "deduplicate the comments",
        "detect copied messages",
    ),
    produces=(FILE,),
)
def duplicates(
    table: RawTable,
    column: Annotated[str, Column("text", pick=True), "The column that holds the text."] = "",
    threshold: Annotated[
        float, Range(0.1, 1.0), "How alike two texts must be: 1 means the same, 0.8 nearly."
    ] = 0.8,
) -> Finding:
    """Find texts that are the same or nearly the same.

    Likeness is the cosine of the texts' TF-IDF vectors over words and pairs of words: letter case, punctuation
    and spaces do not count. `duplicates.csv` holds every row that has a likeness, with the number of its group.
    """
    normal = [" ".join(words_of(text)) for text in table[column]]
    groups = _groups(normal, threshold)
    rows = list(table.itertuples(index=False, name=None))
    names = [free_name(name, list(table.columns)) for name in ("group", "row")]
    write_csv(
        FILE,
        [*names, *table.columns],
        ([number, row + 1, *rows[row]] for number, group in enumerate(groups, start=1) for row in group),
    )
    surplus = sum(len(group) - 1 for group in groups)
    texts = list(table[column])
    exact = sum(len(group) - len({normal[row] for row in group}) for group in groups)
    return Finding(
        title="Duplicates",
        headline=_headline(len(table), len(groups), surplus, exact, threshold),
        tables=[
            Shown(
                title="The largest groups",
                columns=["Group", "Texts", "Rows", "First text"],
                rows=[
                    [
                        number,
                        len(group),
                        ", ".join(str(row + 1) for row in group[:6]),
                        shortened(texts[group[0]], 120),
                    ]
                    for number, group in enumerate(groups[:_SHOWN], start=1)
                ],
            )
        ]
        if groups
        else [],
        files=[FILE],
        data={
            "column": column,
            "threshold": threshold,
            "rows": len(table),
            "surplus": surplus,
            "exact": exact,
            "groups": [[row + 1 for row in group] for group in groups],
        },
    )


def _headline(rows: int, groups: int, surplus: int, exact: int, threshold: float) -> str:
    if not groups:
        return f"No two of the {counted(rows, 'text')} are alike (threshold {threshold:g})."
    return (
        f"{counted(surplus, 'text')} of {rows:,} repeat another one, in {counted(groups, 'group')}; "
        f"{exact:,} of them word for word (threshold {threshold:g})."
    )


def _groups(normal: Sequence[str], threshold: float) -> list[list[int]]:
    """Rows that are alike, directly or by way of others, the largest group first; wordless texts are left out."""
    rows_of: dict[str, list[int]] = {}
    for row, text in enumerate(normal):
        if text:
            rows_of.setdefault(text, []).append(row)
    distinct = list(rows_of)
    leader = list(range(len(distinct)))
    for one, other in _alike(distinct, threshold) if len(distinct) > 1 and threshold < 1 else ():
        low, high = sorted((_find(leader, one), _find(leader, other)))
        leader[high] = low
    members: dict[int, list[int]] = {}
    for place, text in enumerate(distinct):
        members.setdefault(_find(leader, place), []).extend(rows_of[text])
    groups = [sorted(group) for group in members.values() if len(group) > 1]
    return sorted(groups, key=lambda group: (-len(group), group[0]))


def _find(leader: list[int], place: int) -> int:
    while leader[place] != place:
        leader[place] = leader[leader[place]]
        place = leader[place]
    return place


def _alike(texts: Sequence[str], threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs of places whose likeness reaches the threshold, found block by block so that memory stays small."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer: Any = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2))
    matrix: csr_matrix = vectorizer.fit_transform(texts)
    turned = matrix.T.tocsr()
    for start in range(0, len(texts), _BLOCK):
        likeness = (matrix[start : start + _BLOCK] @ turned).tocoo()
        near = (likeness.data >= threshold - 1e-9) & (likeness.row + start < likeness.col)
        yield from zip((likeness.row[near] + start).tolist(), likeness.col[near].tolist(), strict=True)
