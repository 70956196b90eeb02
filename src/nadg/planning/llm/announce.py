"""Which subtasks of a plan that is still being written may start already.

Each is checked once, by itself and against the subtasks that it needs, so a plan of a thousand takes no
longer per subtask than one of ten. What is wrong with one that is not fit, the whole plan's validation says.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from nadg.domain.checks.bindings import Surroundings, binding_problems
from nadg.domain.checks.code import MAX_TOTAL_CODE_BYTES, wrong_with
from nadg.domain.checks.draft import Draft, read_draft
from nadg.domain.checks.places import Suggestions
from nadg.domain.checks.plain import Unbearable, leaf_problems
from nadg.domain.checks.skills import skill_problems
from nadg.domain.inputs import InputFile
from nadg.domain.plan import MAX_SUBTASKS, PromptWork, PythonWork, Subtask
from nadg.domain.skill import SkillSpec
from nadg.planning.prompt_sizes import FlawOfLength
from nadg.planning.prompts import flaws_of_prompt, only_configured


class FitSubtasks:
    """Given the subtasks of one plan in the order of writing, tells those that are valid with all their needs.

    One whose needs are not all there yet waits for them.
    """

    def __init__(
        self,
        skills: Mapping[str, SkillSpec],
        inputs: Sequence[InputFile],
        serves: Callable[[str], bool],
        too_long: FlawOfLength,
    ) -> None:
        """`serves` says whether a model is configured."""
        self._too_long = too_long
        self._flaw_of_model = only_configured(serves)
        self._no_hints = Suggestions(budget=0)
        self._fit: dict[str, Draft] = {}
        self._around = Surroundings(
            inputs={one.name: one for one in inputs}, drafts=self._fit, suggest=self._no_hints, skills=skills
        )
        self._seen: set[str] = set()
        self._missing: dict[str, int] = {}
        """Of each subtask that waits, how many of its needs are not there."""
        self._waiting: dict[str, list[Draft]] = collections.defaultdict(list)
        """By the need that is not there."""
        self._code_bytes = 0

    def add(self, document: object) -> list[Subtask]:
        """The subtasks that may start now that this one is written: it, and those that waited for it."""
        draft = self._readable(document)
        if draft is None or draft.id is None:
            return []
        self._seen.add(draft.id)
        lacking = draft.need_ids - self._fit.keys()
        if lacking:
            self._missing[draft.id] = len(lacking)
            for need in lacking:
                self._waiting[need].append(draft)
            return []
        return list(self._unfold(draft))

    def _readable(self, document: object) -> Draft | None:
        """None where it can never be part of a valid plan."""
        if len(self._seen) >= MAX_SUBTASKS:
            return None
        try:
            if leaf_problems(document):
                return None
        except Unbearable:
            return None
        draft, problems = read_draft(len(self._seen), document, self._no_hints)
        twice = draft.id in self._seen or len(draft.need_ids) < len(draft.needs)
        unfit = problems or draft.whole is None or twice or draft.id in draft.need_ids
        return None if unfit else draft

    def _unfold(self, first: Draft) -> Iterator[Subtask]:
        """A subtask and, one after the other, all that waited for nothing but it."""
        ready = collections.deque([first])
        while ready:
            draft = ready.popleft()
            if draft.id is None or draft.whole is None or not self._is_fit(draft):
                continue
            self._fit[draft.id] = draft
            yield draft.whole
            for waiting in self._waiting.pop(draft.id, ()):
                assert waiting.id is not None
                self._missing[waiting.id] -= 1
                if not self._missing[waiting.id]:
                    ready.append(waiting)

    def _is_fit(self, draft: Draft) -> bool:
        """Whether nothing is wrong with it beside the subtasks that it needs, which all are fit."""
        crossing = itertools.chain(
            binding_problems(draft, self._around), skill_problems(draft, self._around.skills, self._around)
        )
        if isinstance(draft.work, PromptWork) and any(flaws_of_prompt(draft.work, self._flaw_of_model)):
            return False
        if draft.whole is None or self._too_long(draft.whole):
            return False
        return next(crossing, None) is None and self._code_compiles(draft)

    def _code_compiles(self, draft: Draft) -> bool:
        if not isinstance(draft.work, PythonWork):
            return True
        self._code_bytes += len(draft.work.code.encode("utf-8", "replace"))
        return self._code_bytes <= MAX_TOTAL_CODE_BYTES and not wrong_with(draft.work.code)
