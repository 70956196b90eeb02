"""Whether a master can go on with another one's run as that one would have."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from nadg.domain.plan import PromptWork, SkillWork
from nadg.domain.run import RunRecord
from nadg.domain.states import is_final


def what_lacks(record: RunRecord, skills: Collection[str], *, has_model: bool) -> str:
    """What the rest of the run needs and this master has not, as the subject of a sentence; empty for nothing.

    Without it the run would fail here, and not where there is a model or the skill.
    """
    lacking = sorted(set(_skills(record)) - set(skills))
    if lacking:
        return f"skill {lacking[0]!r} lacks here"
    if not has_model and _needs_model(record):
        return "it needs a language model, and none is configured here"
    return ""


def _skills(record: RunRecord) -> Iterator[str]:
    ended = {one.id for one in record.subtasks if is_final(one.state)}
    for one in record.plan.subtasks:
        if isinstance(one.work, SkillWork) and one.id not in ended:
            yield one.work.skill


def _needs_model(record: RunRecord) -> bool:
    ended = {one.id for one in record.subtasks if is_final(one.state)}
    asks = any(isinstance(one.work, PromptWork) for one in record.plan.subtasks if one.id not in ended)
    return asks or record.planning or record.options.max_repairs > 0 or record.options.compose_answer
