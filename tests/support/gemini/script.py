"""Scripts: which answer a request gets, from a list, from rules, or from a file of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from tests.support.gemini.answers import (
    Answer,
    BlockPrompt,
    BreakOff,
    DropConnection,
    Fail,
    Hang,
    RateLimit,
    Say,
    Truncate,
)
from tests.support.gemini.requests import Request

Script = Callable[[Request], Answer]
AT_ITS_END = Fail(500, message="script is at its end")
NO_RULE = Fail(500, message="no rule of the script fits this request")


def scripted(sequence: Iterable[Answer]) -> Script:
    """One answer after the other, whatever is asked; then error 500."""
    answers = iter(tuple(sequence))
    return lambda _: next(answers, AT_ITS_END)


def by_rule(rules: Iterable[tuple[str | Callable[[Request], bool], Answer | Script]]) -> Script:
    """The answer of the first rule that fits: a text that the user's texts contain, or a predicate."""
    fixed = tuple(rules)

    def answer(request: Request) -> Answer:
        for condition, outcome in fixed:
            if condition in request.text if isinstance(condition, str) else condition(request):
                return outcome(request) if callable(outcome) else outcome
        return NO_RULE

    return answer


class FileRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of a script file: when it applies, how many times, and exactly one answer.

    `contains` looks in the user's texts, `system` in the system instruction, `model` is the model's whole name.
    A rule that was used `times` times is passed over, so that the next one can answer the second try.
    """

    contains: str = ""
    system: str = ""
    model: str = ""
    times: int | None = None
    say: str | Say | None = None
    fail: Fail | None = None
    rate_limit: RateLimit | None = None
    block: BlockPrompt | None = None
    truncate: Truncate | None = None
    break_off: BreakOff | None = None
    drop: DropConnection | None = None
    hang: Hang | None = None

    def answer(self) -> Answer:
        """The one answer. Raises ValueError if there is none, or more than one."""
        said = Say(self.say) if isinstance(self.say, str) else self.say
        kinds: tuple[Answer | None, ...] = (
            said,
            self.fail,
            self.rate_limit,
            self.block,
            self.truncate,
            self.break_off,
            self.drop,
            self.hang,
        )
        given = [one for one in kinds if one is not None]
        if len(given) != 1:
            raise ValueError(f"a rule of a script needs exactly one answer, this one has {len(given)}: {self}")
        return given[0]

    def fits(self, request: Request) -> bool:
        """Whether the rule's conditions hold; a rule without any always fits."""
        is_model = self.model in ("", request.model)
        return is_model and self.contains in request.text and self.system in request.system


def script_of_rules(rules: Iterable[FileRule]) -> Script:
    """A script of file rules. Raises ValueError for a rule without exactly one answer."""
    answers = [(rule, rule.answer()) for rule in rules]
    used = [0] * len(answers)

    def answer(request: Request) -> Answer:
        for index, (rule, outcome) in enumerate(answers):
            if rule.fits(request) and (rule.times is None or used[index] < rule.times):
                used[index] += 1
                return outcome
        return NO_RULE

    return answer


def script_from_file(path: Path) -> Script:
    """The script in a JSON file: a list of rules. Raises ValueError (also msgspec's) for a file that is none."""
    return script_of_rules(msgspec.json.decode(path.read_bytes(), type=list[FileRule]))
