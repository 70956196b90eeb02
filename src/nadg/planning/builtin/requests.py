"""From the pieces of a command to requests: which skill, by which words; and what nothing answers to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from nadg.domain.inputs import Column
from nadg.domain.skill import SkillSpec
from nadg.planning.builtin.arguments import choice_arguments, numbers_in
from nadg.planning.builtin.matching import Match, matches
from nadg.planning.builtin.mentions import Mention, column_mentions, file_mentions
from nadg.planning.builtin.roles import column_arguments
from nadg.planning.builtin.vocabulary import Vocabulary
from nadg.planning.builtin.words import Token, stem, tokens

_MOST_NEAREST = 3
_ANALYSIS = stem("analysis")
_ANALYSES_OF_TEXTS = ("find the sentiment", "find the topics", "extract the keywords")
"""What is meant by `analyze the reviews`, where nothing tells what for."""
_SECOND_SHARE = 0.5
_USED_BONUS, _IDLE_SHARE, _IDLE_GROUPING_SHARE = 0.4, 0.8, 0.6


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the command with everything that stands in it."""

    text: str
    tokens: tuple[Token, ...]
    mentions: tuple[Mention, ...]
    files: dict[str, tuple[int, ...]]

    @property
    def taken(self) -> frozenset[int]:
        """Places of column and file names."""
        of_columns = {at for one in self.mentions for at in one.places}
        return frozenset(of_columns.union(*self.files.values()))

    @property
    def has_details(self) -> bool:
        """Whether it names a column or a number."""
        return bool(self.mentions) or next(numbers_in(self.tokens, self.taken), None) is not None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be done."""

    clause: Clause
    match: Match
    others: frozenset[int] = frozenset()
    """Places of numbers that belong to another request of the same clause."""

    @property
    def spec(self) -> SkillSpec:
        return self.match.spec


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """A clause that no skill answers to, with the nearest ones."""

    text: str
    nearest: tuple[str, ...]


Reading = list[Request | Unanswered]


class Reader:
    """Reads the pieces of one command."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        columns: Sequence[Column],
        files: Sequence[str],
        text_files: Collection[str],
        data_fit: Callable[[SkillSpec], float],
    ) -> None:
        self._vocabulary = vocabulary
        self._columns = {one.name: one for one in columns}
        self._files = files
        self._text_files = frozenset(text_files)
        self._data_fit = data_fit

    def clause(self, text: str) -> Clause:
        words = tuple(self._vocabulary.mended(token) for token in tokens(text))
        files = file_mentions(words, self._files)
        of_files = {at for places in files.values() for at in places}
        mentions = [
            one for one in column_mentions(words, list(self._columns.values())) if not of_files & set(one.places)
        ]
        return Clause(text=text, tokens=words, mentions=tuple(mentions), files=files)

    def read(self, pieces: Sequence[str], first: bool = False) -> Reading:
        """The requests of one statement, in order; `first` says whether the command begins with it."""
        found: Reading = []
        waiting = ""
        for number, piece in enumerate(pieces):
            introduces, piece = piece.endswith(":"), piece.rstrip(":")
            text = f"{waiting} and {piece}" if waiting else piece
            clause = self.clause(text)
            if introduces and self.is_filler(clause) and not clause.has_details:
                continue
            requests = self.requests(clause) or self._analysis(clause, first and number == 0)
            if requests and not (waiting and self._belongs_before(piece, found)):
                waiting = ""
                self.append(found, requests)
            elif self.is_filler(clause):
                waiting = text if clause.has_details and not self._extend(found, text) else ""
                if not clause.has_details and clause.files:
                    waiting = text
            elif self._belongs_before(text, found):
                waiting = ""
            elif number + 1 < len(pieces) and self._belongs_after(text, pieces[number + 1]):
                waiting = text
            else:
                waiting = ""
                found.append(self.unanswered(clause))
        if waiting and self.clause(waiting).has_details:
            found.append(self.unanswered(self.clause(waiting)))
        return found

    def requests(self, clause: Clause) -> list[Request]:
        """What one clause asks for: a skill, and a report beside it where both are named."""
        found = self._requests(clause, clause.taken)
        if not found and clause.mentions:  # a column may be called what a skill is called
            found = self._requests(clause, {at for places in clause.files.values() for at in places})
        return found

    def _analysis(self, clause: Clause, may_introduce: bool) -> list[Request]:
        """`analyze it` asks for what `analyze the data` does; over texts it may only introduce what follows."""
        analyzes = any(token.stem == _ANALYSIS for token in clause.tokens) and self.is_filler(clause)
        over_texts = bool(self._text_files.intersection(clause.files or self._text_files))
        if not analyzes or (may_introduce and over_texts):
            return []
        general = self.clause("analyze the data")
        return [msgspec.structs.replace(one, clause=clause) for one in self._requests(general, ())]

    def text_analysis(self, text: str) -> list[Request]:
        """The usual analyses, where `analyze the reviews` is all that is said of texts; else none."""
        clause = self.clause(text)
        analyzes = any(token.stem == _ANALYSIS for token in clause.tokens) and self.is_filler(clause)
        over_texts = bool(self._text_files.intersection(clause.files or self._text_files))
        other_details = any(self._columns[one.column].kind != "text" for one in clause.mentions) or next(
            numbers_in(clause.tokens, clause.taken), None
        )
        if not (analyzes and over_texts) or other_details:
            return []
        names = " and ".join([*(one.column for one in clause.mentions), *clause.files])
        wanted = [self.clause(f"{one} of {names}" if names else one) for one in _ANALYSES_OF_TEXTS]
        return [request for one in wanted for request in self.requests(one)]

    def _requests(self, clause: Clause, taken: Collection[int]) -> list[Request]:
        ranked = [one for one in self._ranked(clause, taken, ()) if one.accepted]
        if not ranked:
            return []
        if ranked[0].spec.takes != "needs":
            return _shared_out(clause, self._first_and_further(clause, ranked))
        report = ranked[0]
        rest = self._ranked(clause, taken, report.strong)
        others = [one for one in rest if one.accepted and self._stands_beside(report, one)]
        chosen = [*self._first_and_further(clause, others), report]
        return _shared_out(clause, chosen)

    def _stands_beside(self, report: Match, other: Match) -> bool:
        """`summarize it in a report` asks for a second skill only where there is something for it to work on."""
        at_hand = self._data_fit(other.spec) >= 1
        return other.spec.takes != "needs" and (at_hand or not other.strong & report.known)

    def _first_and_further(self, clause: Clause, ranked: Sequence[Match]) -> list[Match]:
        """The best skill, and others whose own words the best one knows nothing of."""
        chosen = list(ranked[:1])
        for one in ranked[1:]:
            telling = {at for at in one.strong if clause.tokens[at].has_content} - clause.taken
            explained = {at for other in chosen for at in other.known}
            strong_enough = one.score >= _SECOND_SHARE * chosen[0].score
            if telling and strong_enough and not telling & explained:
                chosen.append(one)
        return chosen

    def _ranked(self, clause: Clause, taken: Collection[int], without: Collection[int]) -> list[Match]:
        return matches(clause.tokens, taken, self._vocabulary, lambda spec: self._fit(spec, clause), without)

    def _fit(self, spec: SkillSpec, clause: Clause) -> float:
        """Whether there is data for a skill, and whether it can use the columns that are named."""
        fit = self._data_fit(spec)
        if not clause.mentions:
            return fit
        _, idle = column_arguments(spec, clause.mentions, self._columns)
        used = len(clause.mentions) - len(idle)
        for one in idle:
            fit *= _IDLE_SHARE if one.role == "plain" else _IDLE_GROUPING_SHARE
        return fit * (1 + _USED_BONUS * used)

    def is_filler(self, clause: Clause) -> bool:
        """Whether nothing is left when names, numbers and empty words are taken away."""
        return not any(token.has_content for at, token in enumerate(clause.tokens) if at not in clause.taken)

    def append(self, found: Reading, requests: Sequence[Request]) -> None:
        """Add requests; `mean and median of price` is one."""
        last = found[-1] if found else None
        first = requests[0]
        same = isinstance(last, Request) and last.spec.name == first.spec.name
        if isinstance(last, Request) and same and not self._arguments(last).keys() & self._arguments(first).keys():
            found.pop()
            joined = self.clause(f"{last.clause.text} and {first.clause.text}")
            requests = [msgspec.structs.replace(first, clause=joined), *requests[1:]]
        found.extend(requests)

    def _arguments(self, request: Request) -> dict[str, object]:
        """The columns and choices that a request gives its skill."""
        clause, spec = request.clause, request.spec
        found, _ = column_arguments(spec, clause.mentions, self._columns)
        numbers = {"a number": True} if next(numbers_in(clause.tokens, clause.taken), None) else {}
        return {**found, **choice_arguments(spec, clause.tokens, clause.taken), **numbers}

    def _extend(self, found: Reading, text: str) -> bool:
        """Give names and numbers to the request before them."""
        last = found[-1] if found else None
        if not isinstance(last, Request):
            return False
        found[-1] = msgspec.structs.replace(last, clause=self.clause(f"{last.clause.text} and {text}"))
        return True

    def _belongs_before(self, text: str, found: Reading) -> bool:
        """Join a piece to the request before it where that skill knows the piece's words."""
        last = found[-1] if found else None
        if not isinstance(last, Request):
            return False
        return self._is_known(text, last.match) and self._extend(found, text)

    def _belongs_after(self, text: str, following: str) -> bool:
        joined = self.requests(self.clause(f"{text} and {following}"))
        return bool(joined) and self._is_known(text, joined[0].match)

    def _is_known(self, text: str, match: Match) -> bool:
        entry = next(one for one in self._vocabulary.entries if one.spec.name == match.spec.name)
        clause = self.clause(text)
        content = [one for at, one in enumerate(clause.tokens) if one.has_content and at not in clause.taken]
        return bool(content) and all(one.stem in entry.weights for one in content)

    def unanswered(self, clause: Clause) -> Unanswered:
        """The clause with the skills that share some word with it."""
        ranked = self._ranked(clause, clause.taken, ())
        near = [one.spec.name for one in ranked if any(clause.tokens[at].has_content for at in one.known)]
        return Unanswered(text=clause.text, nearest=tuple(near[:_MOST_NEAREST]))


def _shared_out(clause: Clause, chosen: Sequence[Match]) -> list[Request]:
    """A request per skill; each number of the clause belongs to the skill whose words stand nearest to it."""
    owned: dict[int, Match] = {}
    for at, _ in numbers_in(clause.tokens, clause.taken):
        owned[at] = min(chosen, key=lambda one: min((abs(place - at) for place in one.strong), default=at))
    return [
        Request(clause=clause, match=one, others=frozenset(at for at, owner in owned.items() if owner is not one))
        for one in chosen
    ]
