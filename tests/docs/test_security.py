"""docs/SECURITY.md says of every tier and limit what the code says of itself."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from nadg.domain.limits import Limits
from nadg.sandbox.threats import THREATS

TEXT = (Path(__file__).parents[2] / "docs" / "SECURITY.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_table_of_threats_is_the_one_that_the_doctor_prints() -> None:
    rows = re.findall(r"^\| ([\w -]+) \| (\w+) \| (\w+) \| (\w+) \|$", section("What each tier stops"), re.M)
    assert rows == [(one.kind, one.none, one.landlock, one.namespaces) for one in THREATS]


def test_every_limit_is_explained() -> None:
    first_cells = re.findall(r"^\| (`.*?) \|", section("Limits and who enforces them"), re.M)
    named = set(re.findall(r"`(\w+)`", "".join(first_cells)))
    assert named == {field.name for field in fields(Limits)}
