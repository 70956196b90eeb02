"""What an attempt demands of its worker."""

from __future__ import annotations

from itertools import product

import pytest

from nadg.domain.plan import PythonWork, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.tier import Tier
from nadg.orchestrator.assignments import demanded_tier


@pytest.mark.parametrize(("run", "own"), list(product(Tier, (None, *Tier))))
def test_a_subtask_can_only_ask_for_more_isolation_than_its_run(run: Tier, own: Tier | None) -> None:
    subtask = Subtask(id="a", work=PythonWork(kind="python", code="pass"), min_sandbox=own)
    demanded = demanded_tier(subtask, RunOptions(min_sandbox=run))
    assert demanded in (run, own)
    assert demanded.satisfies(run)
    assert own is None or demanded.satisfies(own)
