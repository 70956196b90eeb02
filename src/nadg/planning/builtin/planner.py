"""The planner that needs no model and no key: words are matched with the words of the installed skills."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nadg.domain.checks.places import listed
from nadg.domain.errors import UserError
from nadg.domain.inputs import InputFile
from nadg.domain.plan import Plan
from nadg.domain.skill import SkillSpec
from nadg.domain.validate import parse_plan
from nadg.planning.builtin.clauses import statements
from nadg.planning.builtin.draft import Document, PlanDraft
from nadg.planning.builtin.requests import Reader, Reading, Request, Unanswered
from nadg.planning.builtin.sources import at_hand, input_sources, joined_columns
from nadg.planning.builtin.vocabulary import Vocabulary

MAX_COMMAND_CHARACTERS = 10_000
_UNFIT = 0.2
_TITLE_CHARACTERS = 120
_MOST_UNANSWERED = 10
_FILE_NAME = re.compile(
    r"(?:\b(as|to|into|called)\s+)?[\"'“‘]?\b([\w.-]+\.(?:csv|tsv|jsonl?|txt|md|log|png|jpe?g|gif|webp|bmp|tiff?|xlsx?"
    r"|pdf|docx?|parquet))\b",
    re.I,
)
_SUGGESTED = 8
_HINT = (
    "the built-in planner understands the words of its skills only: see `nadg skills`, set up a language model "
    "(docs/MODELS.md), or write a plan file (--plan)"
)


class BuiltinPlanner:
    """A Planner; the same command, inputs and skills always give the same plan."""

    async def plan(self, command: str, inputs: Sequence[InputFile], skills: Mapping[str, SkillSpec]) -> Plan:
        return plan_command(command, inputs, skills)


def plan_command(command: str, inputs: Sequence[InputFile], skills: Mapping[str, SkillSpec]) -> Plan:
    """The plan for a command. Raises UserError with one sentence for each thing that cannot be planned."""
    check_command(command, inputs, skills)
    reading = _read(command, inputs, skills)
    unanswered = [one for one in reading if isinstance(one, Unanswered)]
    if unanswered:
        raise UserError(_unanswered_sentence(unanswered, skills_at_hand(inputs, skills)))
    requests = [one for one in reading if isinstance(one, Request)]
    work = [one for one in requests if one.spec.takes != "needs"]
    reports = [one for one in requests if one.spec.takes == "needs"]
    if not work:
        raise UserError(_nothing_asked(command, reports, skills))
    draft = PlanDraft(inputs)
    for request in work:
        draft.add(request)
    if draft.troubles:
        raise UserError("; ".join(dict.fromkeys(draft.troubles)))
    add_reports(draft, reports, [one.clause.text for one in work], command, skills)
    return parse_plan(finished_document(draft, command), skills=skills, inputs=inputs)


def finished_document(draft: PlanDraft, command: str) -> Document:
    """The plan of a draft, whose last subtask is the answer."""
    return {"goal": command.strip(), "subtasks": draft.subtasks, "answer": draft.subtasks[-1]["id"]}


def check_command(command: str, inputs: Sequence[InputFile], skills: Mapping[str, SkillSpec]) -> None:
    """Raises UserError for what is no command, or names files that were not given."""
    _check(command, skills)
    _check_named_files(command, inputs)


def _check(command: str, skills: Mapping[str, SkillSpec]) -> None:
    if not any(mark.isalnum() for mark in command):
        raise UserError('the command is empty; say what to do, such as "describe the data"')
    if len(command) > MAX_COMMAND_CHARACTERS:
        raise UserError(
            f"the command has {len(command):,} characters; at most {MAX_COMMAND_CHARACTERS:,} are read: "
            "put the data into a file and give it with --input"
        )
    if not skills:
        raise UserError("no skills are installed, so no command can be planned; install nadg[skills]")


def _check_named_files(command: str, inputs: Sequence[InputFile]) -> None:
    """Refuse a command that names a file which was not given; files to be written stand after `as` or `to`."""
    given = {one.name.lower() for one in inputs}
    for match in _FILE_NAME.finditer(command):
        before, name = match.groups()
        if name.lower() not in given and not any(one.endswith(name.lower()) for one in given) and not before:
            among = f"the inputs are {listed([one.name for one in inputs])}" if inputs else "there are no inputs"
            raise UserError(f"the command names {name}, and {among}; give the file with --input")


def _read(command: str, inputs: Sequence[InputFile], skills: Mapping[str, SkillSpec]) -> Reading:
    """What the words of a command ask for, in order, and what no skill answers to."""
    reader, cut = open_command(command, inputs, skills)
    reading = [one for number, pieces in enumerate(cut) for one in reader.read(pieces, first=number == 0)]
    opening = cut[0][0] if cut else ""
    if _is_only_analysis(opening, reading):
        reports = [one for one in reading if isinstance(one, Request)]
        return [*reader.text_analysis(opening), *reports] or reading
    return reading


def open_command(
    command: str, inputs: Sequence[InputFile], skills: Mapping[str, SkillSpec]
) -> tuple[Reader, list[list[str]]]:
    """A reader that knows the inputs, and the statements of the command, each cut into pieces."""
    vocabulary = Vocabulary(skills)
    sources = input_sources(inputs)
    images = [one.name for one in inputs if one.kind == "image"]
    files = [one.name for one in inputs]
    columns = joined_columns(sources)
    text_files = [one.origins[0] for one in sources if one.text_column() is not None]
    reader = Reader(
        vocabulary, columns, files, text_files, lambda spec: 1.0 if at_hand(spec, sources, images) else _UNFIT
    )
    kept = [*vocabulary.kept_texts(), *files, *(one.name for one in columns)]
    return reader, statements(command, kept)


def _is_only_analysis(opening: str, reading: Reading) -> bool:
    """Whether nothing is asked for but the opening words, and a report of that."""
    return not any(
        one.spec.takes != "needs" if isinstance(one, Request) else one.text != opening for one in reading
    )


def skills_at_hand(inputs: Sequence[InputFile], skills: Mapping[str, SkillSpec]) -> list[str]:
    """The skills that the inputs suit; all of them where they suit none."""
    sources, images = input_sources(inputs), [one.name for one in inputs if one.kind == "image"]
    return sorted(
        name for name, spec in skills.items() if spec.takes != "needs" and at_hand(spec, sources, images)
    ) or sorted(skills)


def _unanswered_sentence(unanswered: Sequence[Unanswered], suggested: Sequence[str]) -> str:
    parts = []
    for one in unanswered[:_MOST_UNANSWERED]:
        text = " ".join(one.text.split())
        near = f" (nearest: {', '.join(one.nearest)})" if one.nearest else ""
        parts.append(f'"{text[:100]}{"…" if len(text) > 100 else ""}"{near}')
    more = len(unanswered) - _MOST_UNANSWERED
    further = f" and {more} more" if more > 0 else ""
    offer = (
        ""
        if any(one.nearest for one in unanswered)
        else f"; what can be asked for: {listed(suggested, _SUGGESTED)}"
    )
    return f"no installed skill does {'; '.join(parts)}{further}{offer}; {_HINT}"


def _nothing_asked(command: str, reports: Sequence[Request], skills: Mapping[str, SkillSpec]) -> str:
    text = " ".join(command.split())[:100]
    if reports:
        return (
            f'"{text}" asks for a report, but not of what; say what to find out first, such as "describe the data"'
        )
    return f'"{text}" names nothing that a skill does; installed are {listed(sorted(skills), 40)}; {_HINT}'


def add_reports(
    draft: PlanDraft,
    reports: Sequence[Request],
    work: Sequence[str],
    command: str,
    skills: Mapping[str, SkillSpec],
) -> None:
    """Close with the report that was asked for, or with one of its own accord, so that there is one answer.

    `work` are the words of what is to be done; the report's title is made of them.
    """
    title = _report_title(work)
    asked = list({one.spec.name: one for one in reports}.values())
    for one in asked:
        draft.add_report(one.spec, one.clause, command.strip(), title)
    if not asked:
        own = next((spec for spec in skills.values() if _is_report(spec)), None)
        if own is not None:
            draft.add_report(own, None, command.strip(), title)


def _is_report(spec: SkillSpec) -> bool:
    return spec.takes == "needs" and ("report" in spec.name.split(".") or "report" in spec.synonyms)


def _report_title(work: Sequence[str]) -> str:
    text = " ".join(", ".join(dict.fromkeys(work)).split())
    if len(text) > _TITLE_CHARACTERS:
        text = text[:_TITLE_CHARACTERS].rpartition(" ")[0] + "…"
    return text[:1].upper() + text[1:]
