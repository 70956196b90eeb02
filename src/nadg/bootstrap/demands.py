"""What a run demands of workers beside room: asked before it starts, so that none begins which cannot end.

The sandbox tier of an attempt is the strongest of three: the settings' (the master's policy), the run's, and
the subtask's. Only the settings can lower it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nadg.domain.errors import UserError
from nadg.domain.plan import Plan, Subtask
from nadg.domain.tier import Tier, strongest
from nadg.engines.grid import WorkerView

SHOWN = 3
"""So many subtasks and workers are named; the rest is counted."""


class Workers(Protocol):
    """What is asked of the grid."""

    def workers(self) -> list[WorkerView]: ...

    def unmet(self, labels: tuple[str, ...], tier: Tier) -> str | None: ...


def require_workers(plan: Plan, *, policy: Tier, run: Tier, grid: Workers) -> None:
    """Raises UserError, in one sentence, where a subtask demands a label or a tier that no worker offers."""
    alike: dict[tuple[tuple[str, ...], Tier], list[Subtask]] = {}
    for subtask in plan.subtasks:
        tier = strongest(policy, run, subtask.min_sandbox)
        alike.setdefault((tuple(sorted(subtask.labels)), tier), []).append(subtask)
    sentences = [
        _sentence(subtasks, tier, reason, policy, run, grid.workers())
        for (labels, tier), subtasks in alike.items()
        if (reason := grid.unmet(labels, tier)) is not None
    ]
    if sentences:
        raise UserError("; and ".join(sentences))


def _sentence(
    subtasks: Sequence[Subtask], tier: Tier, reason: str, policy: Tier, run: Tier, workers: Sequence[WorkerView]
) -> str:
    who = (
        f"subtask {subtasks[0].id}" if len(subtasks) == 1 else f"subtasks {_listed([one.id for one in subtasks])}"
    )
    offers = [one.info for one in workers if one.state in ("ready", "quarantined") and one.info is not None]
    if not offers or any(one.tier.satisfies(tier) for one in offers):
        return f"{who} cannot run: {reason}"
    offered = _listed([f"{one.name} offers {one.tier}" for one in offers])
    return (
        f"{who} cannot run: sandbox tier {tier} is wanted, and {offered}; start a worker that offers {tier} "
        f"(`nadg worker doctor` on its machine says what it can), or {_way_to_ask_for_less(tier, policy, run)}"
    )


def _way_to_ask_for_less(tier: Tier, policy: Tier, run: Tier) -> str:
    """What lowers the demand, by who made it."""
    if policy.satisfies(tier):
        danger = ", which runs code unconfined" if tier is Tier.LANDLOCK else ""
        return f"set NADG_MIN_SANDBOX (it is {policy}) lower{danger}"
    return "give a lower --min-sandbox" if run.satisfies(tier) else "lower min_sandbox in the plan"


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
