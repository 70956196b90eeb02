"""What every source file keeps to: sizes, an idea at the top, no machine's paths, no work at import time."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
MAY_SLEEP = {
    "faulty_proxy.py": "that is what a slow network does",
    "full_disk_process.py": "it waits as a master does, only quicker",
    "owners.py": "it looks at what tells nobody when it changes",
}
"""Over 40 needs a reason; over this there is none."""


def tracked_texts() -> list[tuple[str, str]]:
    """Every file that git knows or would take in, with its text; binary files are left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout: nothing to ask which files belong to it")
    paths = [ROOT / name for name in done.stdout.splitlines()]
    return [(str(path.relative_to(ROOT)), text) for path in paths if (text := _text(path)) is not None]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return None


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: count for name, count in lengths.items() if count > MAX_FILE_LINES} == {}


def test_every_file_says_its_idea_at_the_top() -> None:
    silent = [str(path.relative_to(ROOT)) for path in SOURCES if not ast.get_docstring(tree(path))]
    assert silent == []


def test_functions_are_short() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": size
        for path in SOURCES
        if "migrations" not in path.parts  # a migration is one long list of tables
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_tests_wait_on_events_and_never_sleep() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in TESTS
        if path.name not in MAY_SLEEP and "chaos" not in path.parts  # chaos is a matter of time
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and ast.unparse(node.args[0] if node.args else node) != "0"
    ]
    assert found == []


def test_no_file_names_a_machine_or_an_index() -> None:
    here = ROOT if ROOT.parent == Path(tempfile.gettempdir()) else ROOT.parent
    machine = re.compile(r"(?<![\w*.}])(?:" + re.escape(str(here)) + r"|/(?:home|Users)/[a-z]\w*|/root)/")
    index = re.compile(r"https?://\S*/(simple/|packages/\S+#sha256=)|--(extra-)?index-url|--find-links")
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in tracked_texts()
        if name != str(Path(__file__).relative_to(ROOT))
        for number, line in enumerate(text.splitlines(), 1)
        if machine.search(line) or index.search(line)
    ]
    assert found == []


def test_locks_name_every_package_by_hash_and_no_address() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert [one.stem for one in locks] == ["model", "run", "test", "worker"]
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text, lock.name
        entries = re.findall(r"^[A-Za-z0-9_.-]+==[^\n]*(?:\\\n(?:    [^\n]*))+", text, flags=re.M)
        pinned = re.findall(r"^[A-Za-z0-9_.-]+==", text, flags=re.M)
        assert len(entries) == len(pinned) > (5 if lock.stem == "model" else 20), lock.name
        assert all("--hash=sha256:" in entry for entry in entries), lock.name


def test_locks_are_in_step_with_what_is_wanted() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "run": [*project["dependencies"], *extras["worker"], *extras["master"], *extras["skills"]],
        "worker": [*project["dependencies"], *extras["worker"], *extras["skills"]],
    }
    wanted["model"] = extras["model"]
    wanted["test"] = [*wanted["run"], *extras["test"]]
    for name, texts in wanted.items():
        lock = (ROOT / "requirements" / f"{name}.txt").read_text()
        pinned = {
            canonicalize_name(one): version for one, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.M)
        }
        for requirement in map(Requirement, texts):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement.name} is missing in {name}.txt: make locks"
            assert version in requirement.specifier, f"{name}.txt has {requirement.name} {version}: make locks"


def test_the_master_loads_without_the_skills_libraries() -> None:
    heavy = ["pandas", "numpy", "sklearn", "matplotlib", "scipy", "yake", "PIL"]
    code = f"import sys, nadg.bootstrap; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_starts_without_the_grid() -> None:
    heavy = ["sqlalchemy", "pydantic_settings", "fastapi", "uvicorn", "websockets", "nadg.bootstrap"]
    code = (
        "import sys; from nadg.cli.main import run_command_line; run_command_line(['version']);"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
