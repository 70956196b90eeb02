"""What the tests of the built-in planner share: inputs by name, and a plan in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.inputs import Column, InputFile
from nadg.domain.plan import Plan, SkillWork, Subtask
from nadg.planning.builtin import plan_command
from nadg.planning.inspect import inspect_input
from nadg.skills.registry import builtin_skills

BLOB = BlobRef(sha256="0" * 64, size=1)
EXAMPLES = Path(__file__).parents[2] / "examples"

Planned = Callable[[str, str], Plan]
Sketched = Callable[[str, str], str]


def table(name: str, **columns: str) -> InputFile:
    made = tuple(Column(name=key, kind=kind) for key, kind in columns.items())  # type: ignore[arg-type]  # plain words
    return InputFile(name=name, blob=BLOB, kind="table", columns=made, rows=9)


@pytest.fixture(scope="session")
def known_inputs() -> dict[str, InputFile]:
    """Inputs under short names."""
    orders = table("orders.csv", order_id="number", customer_id="number", price="number", region="category")
    return {
        "reviews": inspect_input(EXAMPLES / "reviews.csv", "reviews.csv", BLOB),
        "cars": inspect_input(EXAMPLES / "cars.csv", "cars.csv", BLOB),
        "orders": orders,
        "customers": table("customers.csv", customer_id="number", city="category"),
        "odd": table(
            "odd.csv", **{"Research and Development": "number", "Q1 sales": "number", "topic": "category"}
        ),
        "article": InputFile(name="article.txt", blob=BLOB, kind="text"),
        "a": InputFile(name="a.png", blob=BLOB, kind="image"),
        "b": InputFile(name="b.png", blob=BLOB, kind="image"),
        "c": InputFile(name="c[1].jpg", blob=BLOB, kind="image"),
    }


@pytest.fixture(scope="session")
def planned(known_inputs: dict[str, InputFile]) -> Planned:
    """Plan a command over inputs named by their short names."""
    skills = {name: one.spec for name, one in builtin_skills().items()}
    return lambda command, names: plan_command(command, [known_inputs[name] for name in names.split()], skills)


@pytest.fixture(scope="session")
def sketched(planned: Planned) -> Sketched:
    """The plan in one line: skills with their arguments, and what they read that another subtask made.

    The closing report, the usual column of text and the inputs themselves are left out.
    """
    return lambda command, names: "; ".join(_step(one) for one in planned(command, names).subtasks[:-1])


def _step(subtask: Subtask) -> str:
    assert isinstance(subtask.work, SkillWork)
    args = [
        f"{key}={_value(value)}" for key, value in subtask.work.args.items() if (key, value) != ("column", "text")
    ]
    foreach = subtask.foreach
    read = [*subtask.inputs, *([foreach.rows_of] if foreach and foreach.rows_of else [])]
    return " ".join([subtask.work.skill, *args, *(f"<{name}" for name in read if "/" in name)])


def _value(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
