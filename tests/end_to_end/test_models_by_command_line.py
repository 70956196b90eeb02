"""`nadg run` as a process of its own, with a model over HTTP: answers, budgets, and a process that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nadg.bootstrap.home import Home
from nadg.domain.clock import SystemClock
from nadg.domain.model_calls import Budget
from nadg.models.account import RunAccount
from nadg.settings import Settings
from nadg.store import open_store
from tests.end_to_end.seed_figures import review_figures
from tests.end_to_end.seed_model import name_topic, write_answer
from tests.support.gemini import Answer, GeminiImitation, Hang, Request, Say, run_in_thread
from tests.support.nadg_folder import read_until
from tests.support.scripted_model import ScriptedModel, as_json, item_of
from tests.support.seed_plans import SEEDS

PATIENCE_SECONDS = 30
BUDGET = 35_000
NADG = [sys.executable, "-m", "nadg"]


class Desk:
    """A folder with a home of its own, an imitated model, and `nadg` that asks it."""

    def __init__(self, folder: Path, gemini: GeminiImitation, model: ScriptedModel) -> None:
        self.folder, self.home, self.gemini, self.model = folder, folder / "home", gemini, model
        others = {name: value for name, value in os.environ.items() if not name.startswith(("NADG_", "GOOGLE_"))}
        self._environment = {
            **others,
            "NADG_HOME": str(self.home),
            "NADG_GOOGLE_BASE_URL": gemini.url,
            "NADG_MODEL_CONCURRENCY": "1",
            "NADG_LEASE_SECONDS": "1.5",
            "NADG_MASTER_PORT": "0",
            "GEMINI_API_KEY": "test-key",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*NADG, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def nadg(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and error."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, out, err


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    model = ScriptedModel()
    with run_in_thread(GeminiImitation(model)) as gemini:
        yield Desk(tmp_path, gemini, model)


def test_the_reviews_from_words_to_an_answer_with_sources(desk: Desk) -> None:
    seed = next(one for one in SEEDS if one.name == "reviews")
    desk.model.play(plan=Say(seed.text), prompt=name_topic, answer=lambda request: write_answer(seed, request))
    code, out, err = desk.nadg("run", seed.command, "--input", str(seed.files[0]), "--out", "out")
    assert code == 0, err
    assert "Traceback" not in err
    assert "test-key" not in out + err
    answer = (desk.folder / "out/answer.md").read_text()
    for figure in review_figures():
        assert figure in answer
        assert figure in " ".join(out.split())
    assert "## Sources" in answer
    document = json.loads((desk.folder / "out/run.json").read_text())
    assert document["state"] == "succeeded"
    assert len(document["calls"]) == len(desk.gemini.requests)
    assert f"Models: {document['usage']['answers']} answers, " in err
    assert "test-key" not in json.dumps(document)
    assert list((desk.folder / "out/artifacts/together").glob("*.csv"))


def planned(items: int, text: str = "") -> Answer:
    """A list made by python, and a question for each of its items."""
    code = f"result = [f'word {{number}}' + {text!r} * 800 for number in range({items})]"
    prompt = {"kind": "prompt", "prompt": "Spell it.", "max_output_tokens": 256}
    each = {"results_of": "words", "shard_size": 10}
    subtasks: list[dict[str, Any]] = [
        {"id": "words", "work": {"kind": "python", "code": code}},
        {"id": "each", "needs": ["words"], "foreach": each, "work": prompt},
    ]
    return as_json({"subtasks": subtasks, "answer": "each", "goal": "spell"})


QUESTION = """
subtasks:
  - id: ask
    work: {kind: prompt, prompt: Spell it., max_output_tokens: 256}
"""


def test_the_model_of_a_run_is_asked_by_whoever_goes_on_with_it(desk: Desk) -> None:
    """By a master that adopts it, and for a run that does its work again; not the one that the settings name."""
    (desk.folder / "plan.yaml").write_text(QUESTION)
    asked = threading.Event()

    def hang(request: Request) -> Answer:
        asked.set()
        return Hang()

    desk.model.play(prompt=hang)
    run = desk.start("run", "--plan", "plan.yaml", "--model", "google:gemini-3.8-flash", "--workers", "1")
    assert asked.wait(PATIENCE_SECONDS), run.communicate()
    run.kill()
    run.communicate()
    desk.model.play(prompt=Say("spelled"))
    master = desk.start("up", "--workers", "1")
    read_until(master.stderr, "Going on with run")
    assert desk.nadg("runs", "attach", "1")[0] == 0
    code, _, err = desk.nadg("runs", "fork", "1", "--from", "ask", "--workers", "0")
    master.send_signal(signal.SIGTERM)
    master.communicate(timeout=PATIENCE_SECONDS)
    assert code == 0, err
    assert [request.model for request in desk.gemini.requests] == 3 * ["gemini-3.8-flash"]


def spell(request: Request) -> Answer:
    return Say(f"spelled {item_of(request)[:20]}")


def test_a_budget_stops_the_run_and_keeps_what_is_done(desk: Desk) -> None:
    desk.model.play(plan=planned(40, " long"), prompt=spell)
    code, out, err = desk.nadg("run", "spell", "--budget-tokens", str(BUDGET), "--json")
    assert code == 1, err
    assert "Traceback" not in err
    document = json.loads(out)
    assert document["state"] == "failed"
    reason = document["reason"]
    assert reason.startswith(f"the run's budget of {BUDGET:,} tokens has no room for another request to google:")
    assert reason.endswith("allow more with --budget-tokens")
    assert "\n" not in reason
    assert reason in document["answer"]
    words, each = document["subtasks"]
    assert (words["state"], len(words["result"])) == ("succeeded", 40)
    assert each["state"] == "cancelled"
    spelled = [one for one in document["calls"] if one["purpose"] == "prompt" and one["state"] == "answered"]
    assert 10 < len(spelled) < 40, "in the middle, with a shard done"
    assert each["shards"][0]["state"] == "succeeded"
    assert spent(document["calls"]) <= BUDGET
    assert f"{spent(document['calls']):,} are spent" in reason, "one account sees the planning and the work"
    assert [one for one in document["calls"] if one["purpose"] == "answer"] == []


def spent(calls: list[dict[str, Any]]) -> int:
    """Tokens; a call of unknown end counts as it was charged."""
    return sum(
        one["set_aside_tokens"]
        if one["input_tokens"] is None
        else one["input_tokens"] + one["output_tokens"] + one["thinking_tokens"]
        for one in calls
    )


class HangsAt:
    """Answers items until one comes for which it is silent; then it tells."""

    def __init__(self, item: str) -> None:
        self._item = item
        self.reached = threading.Event()

    def __call__(self, request: Request) -> Answer:
        if item_of(request) != self._item:
            return spell(request)
        self.reached.set()
        return Hang()


def test_calls_of_a_killed_process_count_as_they_were_charged(desk: Desk) -> None:
    hangs = HangsAt("word 3")
    desk.model.play(plan=planned(10), prompt=hangs)
    process = desk.start("run", "spell", "--budget-tokens", str(BUDGET), "--quiet")
    try:
        assert hangs.reached.wait(PATIENCE_SECONDS)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_SECONDS)

    code, out, err = desk.nadg("runs", "list", "--json")
    assert code == 0, err
    (run_id,) = [one["id"] for one in json.loads(out)]
    code, out, err = desk.nadg("runs", "show", run_id, "--json")
    assert code == 0, err
    calls = json.loads(out)["calls"]
    assert [(one["purpose"], one["state"]) for one in calls] == [
        ("plan", "answered"),
        *[("prompt", "answered")] * 3,
        ("prompt", "charged"),
    ]
    assert calls[-1]["set_aside_tokens"] >= 256
    assert account_of(desk.home, run_id).spent_tokens == spent(calls) > calls[-1]["set_aside_tokens"]


def account_of(home: Path, run_id: str) -> RunAccount:
    """The account as another process finds it."""

    async def inside() -> RunAccount:
        clock = SystemClock()
        async with open_store(Home(Settings(home=home)).database, clock) as store:
            return await RunAccount.open(run_id, Budget(tokens=BUDGET), store.model_calls, clock=clock)

    return asyncio.run(inside())
