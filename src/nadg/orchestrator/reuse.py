"""Work that was done before, in this run or another, is not done again: its outcome is looked up by its key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from nadg.domain import commands as cmd
from nadg.domain.blob import Blobs, FileRef
from nadg.domain.errors import UserError
from nadg.domain.events import AttemptFinished
from nadg.domain.outcome import Outcome
from nadg.domain.plan import SkillWork
from nadg.domain.tier import Tier
from nadg.orchestrator.assignments import build_assignment, piece_of
from nadg.orchestrator.cache_key import cache_key, is_reusable, work_sha256
from nadg.orchestrator.progress import RunProgress, SubtaskProgress
from nadg.store.api import ReusableOutcome

ASKED_AHEAD = 500
"""Shards of a subtask that are looked up with the first of them: a question for each turn would cost more."""


class OutcomeStore(Protocol):
    """Where earlier outcomes are."""

    async def reusable(self, keys: Iterable[str], environments: Collection[str]) -> dict[str, ReusableOutcome]: ...


@dataclass(kw_only=True, eq=False)
class _Work:
    """What the shards of a subtask have in common, and what is known of them already."""

    subtask: SubtaskProgress
    sha256: str
    code_number: int
    min_tier: Tier
    asked: int = 0
    """Shards before this index were looked up."""
    keys: dict[int, str] = field(default_factory=dict)
    found: dict[int, ReusableOutcome] = field(default_factory=dict)
    """By index, each until its shard is dispatched."""

    def key(self, index: int) -> str:
        return self.keys.pop(index, "") or cache_key(self.sha256, piece_of(self.subtask, index))

    def keys_ahead(self, index: int) -> dict[int, str]:
        """Of the shard and of those behind it; empty where they were looked up."""
        if index < self.asked:
            return {}
        self.asked = min(index + ASKED_AHEAD, len(self.subtask.shards))
        ahead = {one: cache_key(self.sha256, piece_of(self.subtask, one)) for one in range(index, self.asked)}
        self.keys |= ahead
        return ahead


class Reuse:
    """Gives the attempts of one run their keys, and those that need not run their outcomes."""

    def __init__(
        self,
        store: OutcomeStore,
        environments: Callable[[], frozenset[str]],
        blobs: Blobs,
        inputs: Sequence[FileRef],
    ) -> None:
        self._store, self._environments, self._blobs, self._inputs = store, environments, blobs, inputs
        self._works: dict[str, _Work] = {}

    async def look_up(self, run: RunProgress, commands: Iterable[cmd.Command]) -> dict[str, AttemptFinished]:
        """How those of these dispatches end that need not be sent, by attempt. All get their keys.

        An outcome serves only while every blob of it is in the master's blobs. Attempts that are taken over
        from another master get no key: they may run code that was mended since, or another version of a skill.
        """
        sent = [
            (command, work)
            for command in commands
            if isinstance(command, cmd.Dispatch) and (work := self._work(run, command)) is not None
        ]
        if run.options.use_cache:
            await self._ask([one for one in sent if one[0].subtask_id not in run.options.anew])
        run.cache_keys |= {command.attempt_id: work.key(command.shard_index) for command, work in sent}
        found = {
            command.attempt_id: one
            for command, work in sent
            if (one := work.found.pop(command.shard_index, None)) is not None
        }
        return await asyncio.to_thread(self._whole, found) if found else {}

    async def _ask(self, sent: Sequence[tuple[cmd.Dispatch, _Work]]) -> None:
        environments = self._environments() if sent else frozenset()
        if not environments:
            return
        asked = [
            (key, index, work)
            for command, work in sent
            for index, key in work.keys_ahead(command.shard_index).items()
        ]
        if not asked:
            return
        found = await self._store.reusable({key for key, _, _ in asked}, environments)
        for key, index, work in asked:
            one = found.get(key)
            tier = one.outcome.receipt.sandbox_tier if one is not None else None
            if one is not None and tier is not None and tier.satisfies(work.min_tier):
                work.found[index] = one

    def _work(self, run: RunProgress, command: cmd.Dispatch) -> _Work | None:
        """None where its outcomes may not serve again, or nobody wants this one."""
        subtask = run.subtasks[command.subtask_id]
        if not is_reusable(subtask.spec, run.skills) or subtask.called_off(command.shard_index):
            return None
        known = self._works.get(command.subtask_id)
        if known is None or known.subtask is not subtask or known.code_number != subtask.code_number:
            known = self._first(run, subtask, command)
            if known is not None:
                self._works[command.subtask_id] = known
        return known

    def _first(self, run: RunProgress, subtask: SubtaskProgress, command: cmd.Dispatch) -> _Work | None:
        """What is the same for all shards of a subtask; None where it cannot be sent, which is told elsewhere."""
        try:
            assignment = build_assignment(run, command, self._inputs, term=0)
        except UserError:
            return None
        work = subtask.spec.work
        version = run.skills[work.skill].version if isinstance(work, SkillWork) else None
        return _Work(
            subtask=subtask,
            sha256=work_sha256(assignment, version),
            code_number=subtask.code_number,
            min_tier=assignment.min_tier,
        )

    def _whole(self, found: Mapping[str, ReusableOutcome]) -> dict[str, AttemptFinished]:
        """Those whose blobs are all here, as the ends of these attempts. Looks at the disk."""
        return {
            attempt: AttemptFinished(attempt_id=attempt, outcome=_reused(one))
            for attempt, one in found.items()
            if all(self._blobs.has(sha256) for sha256 in one.outcome.blobs())
        }


def _reused(one: ReusableOutcome) -> Outcome:
    """The outcome with the receipt of the attempt that it came from, which it names."""
    receipt = one.outcome.receipt
    origin = receipt.reused_from or one.attempt_id
    return msgspec.structs.replace(one.outcome, receipt=msgspec.structs.replace(receipt, reused_from=origin))
