"""Which models are asked, and which options a run gets, from settings and wishes."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from pydantic import SecretStr

from nadg.bootstrap.asked import ModelWishes, models_for, must_wait_for_plan, options_of_run
from nadg.bootstrap.review import priced
from nadg.domain.model_calls import Budget, Purpose
from nadg.domain.model_names import DEFAULT_MODEL
from nadg.domain.run import RunOptions
from nadg.domain.tier import Tier
from nadg.planning.estimate import CallEstimate, PlanEstimate
from nadg.settings import Settings

KEY = SecretStr("k")


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "NADG_MODEL"):
        monkeypatch.delenv(name, raising=False)


create = functools.partial(Settings, home=Path("home"))
TABLE: list[tuple[Settings, str | None, Purpose, tuple[str, ...]]] = [
    (create(), None, "plan", ()),
    (create(gemini_api_key=KEY), None, "plan", (DEFAULT_MODEL,)),
    (create(google_api_key=KEY), None, "prompt", (DEFAULT_MODEL,)),
    (create(openai_api_key=KEY), None, "plan", ()),
    (create(gemini_api_key=KEY, model="none"), None, "plan", ()),
    (create(gemini_api_key=KEY, model="none", model_plan="google:a"), None, "plan", ()),
    (create(gemini_api_key=KEY), "none", "plan", ()),
    (create(model="google:a", model_plan="google:b"), None, "plan", ("google:b",)),
    (create(model="google:a", model_plan="google:b"), None, "repair", ("google:a",)),
    (create(model_answer="google:b"), None, "answer", ("google:b",)),
    (create(model_answer="google:b"), None, "plan", ()),
    (create(model="google:a", model_fallbacks=("openai:b", "google:a")), None, "plan", ("google:a", "openai:b")),
    (create(model_fallbacks=("openai:b",)), None, "plan", ()),
    (create(model="none"), "openai:x", "plan", ("openai:x",)),
    (create(model="google:a", model_plan="google:b"), "openai:x", "plan", ("openai:x",)),
]


@pytest.mark.parametrize(("settings", "model", "purpose", "expected"), TABLE)
def test_who_is_asked(settings: Settings, model: str | None, purpose: Purpose, expected: tuple[str, ...]) -> None:
    assert models_for(purpose, settings, ModelWishes(model=model)) == expected


@pytest.mark.parametrize(
    ("asked", "by_model", "repairs"), [(None, True, 2), (None, False, 0), (0, True, 0), (5, False, 5)]
)
def test_how_often_code_is_mended(asked: int | None, by_model: bool, repairs: int) -> None:
    assert options_of_run(RunOptions(), ModelWishes(repairs=asked), by_model=by_model).max_repairs == repairs


def test_wishes_become_options_and_the_others_stay() -> None:
    wishes = ModelWishes(budget=Budget(usd=1.0), use_cache=False)
    base = RunOptions(timeout_seconds=3, min_sandbox=Tier.NAMESPACES)
    found = options_of_run(base, wishes, by_model=True)
    assert (found.budget, found.use_cache, found.compose_answer) == (Budget(usd=1.0), False, True)
    assert (found.timeout_seconds, found.min_sandbox) == (3, Tier.NAMESPACES)
    assert not options_of_run(base, wishes, by_model=False).compose_answer


@pytest.mark.parametrize(
    ("review", "yes", "tier", "waits"),
    [
        (False, False, Tier.LANDLOCK, False),
        (True, False, Tier.LANDLOCK, True),
        (True, True, Tier.LANDLOCK, True),
        (False, False, Tier.NONE, True),
        (False, True, Tier.NONE, False),
    ],
)
def test_a_plan_that_someone_is_asked_about_is_waited_for(
    review: bool, yes: bool, tier: Tier, waits: bool
) -> None:
    assert must_wait_for_plan(review=review, yes=yes, tier=tier) is waits


def calls(purpose: Purpose = "prompt", *, model: str | None = None, count: int = 10) -> CallEstimate:
    return CallEstimate(
        subtask_id="a",
        purpose=purpose,
        model=model,
        calls=count,
        input_tokens=1000,
        output_tokens=100,
        most_output_tokens=2048,
        at_least=False,
    )


def whole(*parts: CallEstimate) -> PlanEstimate:
    return PlanEstimate(by_subtask=parts, shards=3, at_least=False)


def test_an_estimate_is_priced_only_where_all_of_it_is() -> None:
    prices = {"google:cheap": 1e-6, "google:dear": 1e-3}

    def cost(model: str, tokens_in: int, tokens_out: int) -> float | None:
        return prices[model] * (tokens_in + tokens_out) if model in prices else None

    def model_for(purpose: Purpose) -> str:
        return "google:cheap" if purpose == "prompt" else "google:dear"

    found = priced(whole(calls(), calls("answer", count=1)), model_for, cost)
    assert (found.calls, found.input_tokens, found.output_tokens, found.shards) == (11, 2000, 200, 3)
    assert found.cost_usd == pytest.approx(1.1011)
    assert priced(whole(calls(), calls(model="openai:own")), model_for, cost).cost_usd is None
