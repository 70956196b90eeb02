"""The plans of the five example commands are valid, and their code really runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.plan import PromptWork
from nadg.domain.validate import parse_plan
from nadg.planning.inspect import inspect_input
from nadg.skills.registry import builtin_skills
from tests.support.nadg_folder import Folder, ended, read_until
from tests.support.seed_plans import SEEDS, Seed

BLOB = BlobRef(sha256="0" * 64, size=1)
SKILLS = {name: one.spec for name, one in builtin_skills().items()}
BY_NAME = {seed.name: seed for seed in SEEDS}


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: str(seed.name))
def test_the_plan_is_valid(seed: Seed) -> None:
    inputs = [inspect_input(path, path.name, BLOB) for path in seed.files]
    parse_plan(seed.document, skills=SKILLS, inputs=inputs, models=True)
    parse_plan(seed.without_prompts(), skills=SKILLS, inputs=inputs)


def test_together_they_hold_every_kind_of_work() -> None:
    subtasks = [one for seed in SEEDS for one in seed.document["subtasks"]]
    repeated = {(seed.name, one["id"]) for seed in SEEDS for one in seed.document["subtasks"] if "foreach" in one}
    reduces = [
        one["id"]
        for seed in SEEDS
        for one in seed.document["subtasks"]
        if any((seed.name, need) in repeated for need in one.get("needs", ()))
    ]
    assert {one["work"]["kind"] for one in subtasks} == {"skill", "python", "prompt"}
    assert {name for one in subtasks for name in one.get("foreach", ())} >= {"rows_of", "results_of"}
    assert "catalogue" in reduces
    assert PromptWork.model_validate(BY_NAME["products"].document["subtasks"][0]["work"]).output_schema


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a grid of two workers, which all the plans run on."""
    path = tmp_path_factory.mktemp("grid")
    up = Folder(path, path / "home").start("up", "--workers", "2")
    try:
        read_until(up.stdout, r"^ready: 2 workers")
        yield path / "home"
    finally:
        up.send_signal(signal.SIGINT)
        ended(up)


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Folder:
    return Folder(tmp_path, home)


def run_plan(seed: Seed, folder: Folder) -> dict[str, Any]:
    """What `nadg run --plan --json` says of the plan without its prompts."""
    (folder.path / "plan.json").write_text(json.dumps(seed.without_prompts()), encoding="utf-8")
    given = [part for path in seed.files for part in ("--input", str(path))]
    done = folder.nadg("run", "--plan", "plan.json", *given, "--out", "out", "--json")
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert [(one["id"], one["reason"]) for one in found["subtasks"] if one["state"] != "succeeded"] == []
    return found


def result_of(found: dict[str, Any], subtask_id: str) -> Any:
    return next(one["result"] for one in found["subtasks"] if one["id"] == subtask_id)


@pytest.mark.slow
def test_the_reviews_are_told_apart_by_topic(folder: Folder) -> None:
    found = run_plan(BY_NAME["reviews"], folder)
    together = result_of(found, "together")
    assert together["reviews"] == 3708
    assert "Customers are happiest with" in together["headline"]
    assert together["headline"] in found["answer"]


@pytest.mark.slow
def test_the_cars_are_cleaned_counted_and_drawn(folder: Folder) -> None:
    found = run_plan(BY_NAME["cars"], folder)
    assert [one["column"] for one in result_of(found, "outliers")][1] == "Horsepower"
    assert result_of(found, "unusual")["outliers"] > 0
    assert "lie far outside the middle half" in found["answer"]


@pytest.mark.slow
def test_the_catalogue_has_every_product_and_says_which_text_is_missing(folder: Folder) -> None:
    result = result_of(run_plan(BY_NAME["products"], folder), "catalogue")
    assert (result["products"], result["without_text"]) == (12, ["OF-201"])
    assert "Meet the Harbour Mug." in result["markdown"]
    assert "Aluminium; three brightness levels" in result["markdown"]


@pytest.mark.slow
def test_the_competitors_are_ranked(folder: Folder) -> None:
    ranks = result_of(run_plan(BY_NAME["competitors"], folder), "ranks")
    assert ranks["us"] == "Brightdesk"
    assert ranks["our_places"] == {
        "price": 4,
        "features": 4,
        "features_per_10_eur": 6,
        "rating": 2,
        "support_hours": 4,
        "share": 5,
    }


@pytest.mark.slow
def test_the_client_passes_its_tests_in_the_sandbox(folder: Folder) -> None:
    found = run_plan(BY_NAME["client"], folder)
    assert result_of(found, "checked") == {"tests": 7, "failed": 0}
    assert result_of(found, "package")["files"] == ["README.md", "tern_client.py", "test_tern_client.py"]
    assert list(folder.path.rglob("tern_client/README.md"))
