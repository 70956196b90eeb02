"""The run under trial: two `foreach`, the second over the results of the first, and a reduce."""

from __future__ import annotations

from nadg.domain.plan import Plan

SLEEP_SECONDS = 0.3
"""Long enough that shards are under way when something is killed."""

SQUARE = f"""
import time
time.sleep({SLEEP_SECONDS})
result = {{"n": item, "square": item * item}}
"""
DIGITS = f"""
import time
time.sleep({SLEEP_SECONDS})
result = {{"n": item["n"], "digits": sum(map(int, str(item["square"])))}}
"""
REDUCE = """
digits = needs["digits"]
total = sum(one["digits"] for one in digits)
result = {"count": len(digits), "sum": total, "order": [one["n"] for one in digits]}
with open("table.csv", "w") as file:
    file.writelines(f"{one['n']},{one['digits']}\\n" for one in digits)
"""


def create_plan(shards: int) -> Plan:
    """So many shards in all, the reduce left out: half of them squares, half sums of digits."""
    return Plan.model_validate(
        {
            "goal": "the sums of the digits of squares",
            "subtasks": [
                _foreach("squares", SQUARE, {"items": list(range(shards // 2))}, ()),
                _foreach("digits", DIGITS, {"results_of": "squares"}, ("squares",)),
                {"id": "total", "work": {"kind": "python", "code": REDUCE}, "needs": ["digits"], "cache": False},
            ],
        }
    )


def _foreach(name: str, code: str, source: dict[str, object], needs: tuple[str, ...]) -> dict[str, object]:
    return {
        "id": name,
        "work": {"kind": "python", "code": code},
        "foreach": {**source, "shard_size": 1},
        "needs": list(needs),
        "cache": False,
        "max_attempts": 20,
    }


def expected_result(shards: int) -> dict[str, object]:
    """What the undisturbed run gives."""
    numbers = range(shards // 2)
    sums = [sum(map(int, str(number * number))) for number in numbers]
    return {"count": len(sums), "sum": sum(sums), "order": list(numbers)}
