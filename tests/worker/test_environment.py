"""A worker's environment: one hash that differs where code could give something else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nadg.worker.environment import distributions, environment_sha256


def make(folder: Path, name: str, text: str = "") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_another_version_of_a_distribution_is_another_environment(tmp_path: Path) -> None:
    make(tmp_path / "one", "other.dist-info/METADATA")
    make(tmp_path / "one", "code.py")
    make(tmp_path / "one", "pandas-2.0.0.dist-info/METADATA")
    make(tmp_path / "two", "pandas-2.0.1.dist-info/METADATA")
    make(tmp_path / "file", "")
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert distributions([one, str(tmp_path / "absent"), str(tmp_path / "file"), one]) == [
        "other.dist-info",
        "pandas-2.0.0.dist-info",
    ]
    assert environment_sha256([], [one]) == environment_sha256([], [one])
    assert environment_sha256([], [one]) != environment_sha256([], [two])
    assert environment_sha256([], [one]) != environment_sha256([], [one, two])


@pytest.fixture
def skill_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[..., object]]:
    """Imports a function from a module below `tmp_path`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def imported(name: str) -> Callable[..., object]:
        for new in set(sys.modules) - before:
            monkeypatch.delitem(sys.modules, new)
        importlib.invalidate_caches()
        function: Callable[..., object] = importlib.import_module(name).skill
        return function

    return imported


SKILL = "def skill(): return 1\n"


@pytest.mark.parametrize(
    ("module", "changed", "counts"),
    [
        ("lone_skill", "lone_skill.py", True),
        ("lone_skill", "beside.py", False),
        ("skill_pack.deep.one", "skill_pack/lib.py", True),
        ("skill_pack.deep.one", "skill_pack/notes.txt", False),
        ("shared_folder.deep.one", "shared_folder/deep/lib.py", True),
        ("shared_folder.deep.one", "shared_folder/lib.py", False),
    ],
)
def test_the_source_of_a_skill_counts_with_its_package(
    tmp_path: Path,
    skill_in: Callable[[str], Callable[..., object]],
    module: str,
    changed: str,
    counts: bool,
) -> None:
    """An outermost folder without `__init__.py` may hold packages of several owners: the inner one counts."""
    for name in ("lone_skill.py", "skill_pack/deep/one.py", "shared_folder/deep/one.py"):
        make(tmp_path, name, SKILL)
    for name in ("skill_pack/__init__.py", "skill_pack/deep/__init__.py", changed):
        make(tmp_path, name, SKILL)
    (tmp_path / "skill_pack/.#lock.py").symlink_to("nowhere")
    before = environment_sha256([skill_in(module)], [])
    make(tmp_path, changed, SKILL + "# changed\n")
    assert (environment_sha256([skill_in(module)], []) != before) is counts
