"""The steps of a command, what each may be, and the plan that follows once a skill is named for each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from nadg.domain.inputs import InputFile
from nadg.domain.plan import Plan
from nadg.domain.skill import SkillSpec
from nadg.domain.validate import parse_plan
from nadg.planning.builtin.draft import PlanDraft
from nadg.planning.builtin.matching import Match
from nadg.planning.builtin.planner import add_reports, finished_document, open_command, skills_at_hand
from nadg.planning.builtin.requests import Reader, Reading, Request, Unanswered
from nadg.planning.llm.small_prompt import PROMPT

Refusal = tuple[str, str]
"""A step, and a skill that cannot do it."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Words of the command that ask for one thing."""

    text: str
    plain: tuple[Request, ...]
    """What the words themselves say, where they name a skill: then no model is believed over them."""


class Misnamed(Exception):
    """The named skills make no plan; `reasons` says why, and `refused` which names cannot stand."""

    def __init__(self, reasons: Sequence[str], refused: Sequence[Refusal] = ()) -> None:
        super().__init__("; ".join(reasons))
        self.reasons, self.refused = tuple(reasons), tuple(refused)


class Outline:
    """One command over some inputs, cut into steps wherever one may end."""

    def __init__(self, command: str, inputs: Sequence[InputFile], skills: Mapping[str, SkillSpec]) -> None:
        self._command, self._inputs, self._skills = command, inputs, skills
        self._reader, statements = open_command(command, inputs, skills)
        texts = _with_their_details(self._reader, [piece.rstrip(":") for one in statements for piece in one])
        self.steps = tuple(Step(text=text, plain=self._plain(text)) for text in dict.fromkeys(texts))
        reports = [name for name, spec in skills.items() if spec.takes == "needs"]
        self.menu = (*dict.fromkeys([*skills_at_hand(inputs, skills), *reports]), PROMPT)
        """What a step may be: a skill that suits the inputs, a report, or a text for a language model."""

    @property
    def open_steps(self) -> tuple[str, ...]:
        """Those that somebody must name a skill for."""
        return tuple(one.text for one in self.steps if not one.plain)

    def choices(self, step: str, refused: Collection[Refusal] = ()) -> tuple[str, ...]:
        """The names that an open step may still be given."""
        return tuple(name for name in self.menu if (step, name) not in refused)

    def plan(self, named: Mapping[str, str]) -> Plan:
        """The plan that the names of the open steps make.

        Raises Misnamed, and PlanInvalid for what only the whole plan shows.
        """
        draft, reports, work = PlanDraft(self._inputs), list[Request](), list[str]()
        refused: list[Refusal] = []
        for one in self._reading(named):
            told = len(draft.troubles)
            if isinstance(one, Unanswered):
                draft.add_prompt(one.text)
                work.append(one.text)
            elif one.spec.takes == "needs":
                reports.append(one)
            else:
                draft.add(one)
                work.append(one.clause.text)
            if isinstance(one, Request) and len(draft.troubles) > told:
                refused += self._refusals(named, one)
        if draft.troubles:
            raise Misnamed(draft.troubles, refused)
        if not work:
            said = [(one.text, named[one.text]) for one in self.steps if not one.plain]
            raise Misnamed(["there is nothing to report on"], said)
        add_reports(draft, reports, work, self._command, self._skills)
        document = finished_document(draft, self._command)
        return parse_plan(document, skills=self._skills, inputs=self._inputs, models=True)

    def _plain(self, text: str) -> tuple[Request, ...]:
        """What the words say, unless it is something that cannot be done with these inputs."""
        found = self._reader.requests(self._reader.clause(text))
        draft = PlanDraft(self._inputs)
        for one in found:
            if one.spec.takes != "needs":
                draft.add(one)
        return () if draft.troubles else tuple(found)

    def _reading(self, named: Mapping[str, str]) -> Reading:
        """What is asked for, in order; neighbours of one skill that add to each other are one request."""
        found: Reading = []
        for one in self.steps:
            if one.plain:
                self._reader.append(found, one.plain)
            elif (spec := self._skills.get(named[one.text])) is not None:
                self._reader.append(found, [Request(clause=self._reader.clause(one.text), match=_named(spec))])
            else:
                found.append(Unanswered(text=one.text, nearest=()))
        return found

    def _refusals(self, named: Mapping[str, str], request: Request) -> list[Refusal]:
        name, text = request.spec.name, request.clause.text
        mine = [one for one in self.steps if named.get(one.text) == name and one.text in text]
        return [(one.text, name) for one in mine]


def _with_their_details(reader: Reader, pieces: Sequence[str]) -> list[str]:
    """The pieces that ask for something; names and numbers that stand alone go with the piece before or after."""
    found: list[str] = []
    waiting = ""
    for piece in pieces:
        clause = reader.clause(piece)
        if not reader.is_filler(clause):
            found.append(" ".join(f"{waiting} {piece}".split()))
            waiting = ""
        elif clause.has_details or clause.files:
            if found:
                found[-1] = f"{found[-1]} and {' '.join(piece.split())}"
            else:
                waiting = f"{waiting} {piece} and"
    return found


def _named(spec: SkillSpec) -> Match:
    """A skill that was named by somebody else than the words."""
    return Match(spec=spec, score=1.0, strong=frozenset(), known=frozenset(), accepted=True)
