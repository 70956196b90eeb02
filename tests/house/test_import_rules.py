"""Who may import whom: the table, the linter's contracts that hold it, and that they really catch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "nadg"

MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "settings": {"domain"},
    "link": {"domain"},
    "store": {"domain"},
    "skills": {"domain"},
    "sandbox": {"domain"},
    "models": {"domain"},
    "planning": {"domain", "models", "skills"},
    "engines": {"domain", "link", "sandbox"},
    "worker": {"domain", "link", "sandbox", "skills"},
    "orchestrator": {"domain", "store", "planning", "models", "engines"},
    "api": {"domain", "store", "orchestrator"},
    "client": {"domain"},
    "bootstrap": {
        "domain",
        "settings",
        "link",
        "store",
        "skills",
        "sandbox",
        "models",
        "planning",
        "engines",
        "worker",
        "orchestrator",
        "api",
        "client",
    },
    "cli": {"domain", "settings", "bootstrap", "client"},
}


def contracts() -> list[dict[str, Any]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: list[dict[str, Any]] = document["tool"]["importlinter"]["contracts"]
    return found


def rooms() -> set[str]:
    """Every package and module directly below `nadg`."""
    folders = {one.name for one in PACKAGE.iterdir() if one.is_dir() and any(one.glob("*.py"))}
    modules = {one.stem for one in PACKAGE.glob("*.py") if not one.stem.startswith("__")}
    return folders | modules


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"}
    command = [str(program), "--no-cache", "--no-logo", "--config", "pyproject.toml"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "src" / "nadg", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_every_room_has_a_line_in_the_table() -> None:
    assert rooms() == set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_the_contract_forbids_all_that_the_table_does_not_allow(room: str) -> None:
    mine = [one for one in contracts() if one["source_modules"] == [f"nadg.{room}"] and _of_rooms(one)]
    forbidden = {name for one in mine for name in one["forbidden_modules"]}
    assert forbidden == {
        f"nadg.{other}" for other in MAY_IMPORT if other != room and other not in MAY_IMPORT[room]
    }


def _of_rooms(contract: dict[str, Any]) -> bool:
    return any(name.startswith("nadg.") for name in contract["forbidden_modules"])


def test_the_rules_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_catch_what_breaks_them(copy: Path) -> None:
    """At the top, under TYPE_CHECKING, inside a function, and through a third module."""
    planted = {
        "store/planted.py": "import nadg.planning\n",
        "sandbox/planted.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nadg import worker\n",
        "domain/planted.py": "def late() -> None:\n    import nadg.store\n",
        "cli/planted.py": "from nadg import orchestrator\n",
        "link/planted.py": "import sqlalchemy\n",
    }
    for name, text in planted.items():
        (copy / "src" / "nadg" / name).write_text(text)
    done = lint(copy)
    for name in planted:
        (copy / "src" / "nadg" / name).unlink()
    assert done.returncode != 0
    for name in planted:
        assert f"nadg.{name.removesuffix('.py').replace('/', '.')}" in done.stdout, done.stdout
    assert lint(copy).returncode == 0, "the copy itself is clean"
