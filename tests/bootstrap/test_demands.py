"""A grid holds to the settings' sandbox tier whoever calls it, and says in one sentence what is lacking."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from nadg.bootstrap.demands import require_workers
from nadg.bootstrap.grid import open_grid
from nadg.cli.screen import SilentScreen
from nadg.cli.watch import ScreenWatcher
from nadg.domain.errors import UserError
from nadg.domain.plan import Plan
from nadg.domain.run import RunOptions, RunRecord
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.engines.grid import WorkerView
from nadg.engines.placement import Demand, unmet_sentence
from nadg.sandbox import Policy
from nadg.settings import Settings
from tests.support.worker_process import start_worker

__all__ = ["start_worker"]


class Workers:
    """Connected workers as a grid tells of them."""

    def __init__(self, **tiers: Tier) -> None:
        self._infos = [WorkerInfo(name=name, slots=1, tier=tier) for name, tier in tiers.items()]

    def workers(self) -> list[WorkerView]:
        return [WorkerView(url=one.name, state="ready", reason="", info=one, in_flight=0) for one in self._infos]

    def unmet(self, labels: tuple[str, ...], tier: Tier) -> str | None:
        return unmet_sentence(self._infos, Demand(kind="", labels=labels, min_tier=tier))


def plan(**subtasks: dict[str, Any]) -> Plan:
    work = {"kind": "python", "code": "result = 1"}
    return Plan.model_validate({"subtasks": [{"id": name, "work": work, **one} for name, one in subtasks.items()]})


def refusal(asked: Plan, *, policy: Tier = Tier.LANDLOCK, run: Tier = Tier.LANDLOCK, **tiers: Tier) -> str:
    with pytest.raises(UserError) as caught:
        require_workers(asked, policy=policy, run=run, grid=Workers(**tiers))
    return str(caught.value)


def test_what_some_worker_offers_may_start() -> None:
    asked = plan(a={}, b={"min_sandbox": "namespaces"}, c={"min_sandbox": "none"})
    require_workers(
        asked, policy=Tier.LANDLOCK, run=Tier.NONE, grid=Workers(w=Tier.LANDLOCK, v=Tier.NAMESPACES, u=Tier.NONE)
    )


def test_all_that_is_lacking_is_said_at_once_and_alike_subtasks_together() -> None:
    strong = {"min_sandbox": "namespaces"}
    said = refusal(plan(a=strong, b={}, c=strong, d={"labels": ["gpu"]}), w=Tier.LANDLOCK, v=Tier.NONE)
    assert said.startswith(
        "subtasks a, c cannot run: sandbox tier namespaces is wanted, and w offers landlock, v offers none; "
    )
    assert "; and subtask d cannot run: no connected worker qualifies: w lacks the label gpu" in said
    assert "subtask b" not in said


def test_the_settings_count_though_run_and_plan_ask_for_less() -> None:
    said = refusal(plan(a={"min_sandbox": "none"}), policy=Tier.NAMESPACES, run=Tier.LANDLOCK, w=Tier.LANDLOCK)
    assert said.endswith("or set NADG_MIN_SANDBOX (it is namespaces) lower")


def test_many_are_counted() -> None:
    strong = {"min_sandbox": "namespaces"}
    asked = plan(**{f"s{number}": strong for number in range(9)})
    said = refusal(asked, **{f"w{number}": Tier.LANDLOCK for number in range(5)})
    assert "subtasks s0, s1, s2 and 6 more cannot run" in said
    assert "w2 offers landlock and 2 more; " in said


def test_without_any_worker_that_is_what_is_said() -> None:
    assert "no worker is connected" in refusal(plan(a={"min_sandbox": "namespaces"}))


@pytest.mark.parametrize("asked", list(Tier))
def test_no_caller_gets_below_the_settings(start_worker: Any, tmp_path: Path, asked: Tier) -> None:
    """The options are stored, and every attempt is dispatched, with the stronger of both."""
    worker = start_worker("w", policy=Policy(tier=Tier.LANDLOCK, zygotes={"lean": ()}))
    settings = Settings(
        home=tmp_path / "home",
        worker_urls=(worker.url,),
        worker_token=SecretStr(worker.token),
        min_sandbox=Tier.LANDLOCK,
    )
    (tmp_path / "plan.yaml").write_text('subtasks: [{id: a, work: {kind: python, code: "result = 1"}}]')

    async def carried_out() -> RunRecord:
        watcher = ScreenWatcher(SilentScreen())
        async with open_grid(settings) as grid:
            planned = await grid.plan(None, tmp_path / "plan.yaml", ())
            return await grid.run(planned, RunOptions(min_sandbox=asked), watcher)

    if asked is Tier.NAMESPACES:
        with pytest.raises(UserError, match="namespaces is wanted"):
            asyncio.run(carried_out())
    else:
        record = asyncio.run(carried_out())
        assert (str(record.state), record.options.min_sandbox) == ("succeeded", Tier.LANDLOCK)
