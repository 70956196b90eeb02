"""How skills are found: built in, from other packages, and what happens where a package is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nadg.domain.errors import UserError
from nadg.skills.registry import load_registry

BLOCKED = """
import sys
BLOCKED = {"numpy", "pandas", "scipy", "sklearn", "matplotlib", "PIL", "vaderSentiment", "yake"}
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Blocked())
from nadg.skills.registry import load_registry
print(len(load_registry().specs))
"""


def test_an_unknown_skill_lists_the_nearest() -> None:
    with pytest.raises(UserError, match=r"skill 'text.sentimant' is not installed; did you mean text\.sentiment"):
        load_registry().get("text.sentimant")


def test_a_far_off_name_lists_what_is_installed() -> None:
    with pytest.raises(UserError, match=r"skill 'xyz' is not installed; installed are chart\.bar, chart\.heatmap"):
        load_registry().get("xyz")


def test_specs_are_there_without_the_libraries() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert int(done.stdout) >= 23


def test_every_builtin_skill_says_enough_to_be_found() -> None:
    for name, spec in load_registry().specs.items():
        assert len(spec.synonyms) >= 4, name
        assert len(spec.examples) >= 2, name
        assert spec.summary.endswith("."), name
        assert all(one.description for one in spec.parameters), name


def test_no_two_skills_share_a_synonym_or_example() -> None:
    seen: dict[str, str] = {}
    for name, spec in load_registry().specs.items():
        for phrase in (*spec.synonyms, *spec.examples):
            assert seen.setdefault(phrase.lower(), name) == name, phrase


def package(folder: Path, name: str, source: str) -> None:
    """A package as an installer leaves it: a module, and metadata with its entry point."""
    (folder / f"{name}.py").write_text(source)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[nadg.skills]\n{name} = {name}\n")


def test_a_broken_package_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "broken_skills", "import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    registry = load_registry()
    assert "text.sentiment" in registry.specs
    assert registry.broken == {"broken_skills": "ModuleNotFoundError: No module named 'no_such_library'"}
    with pytest.raises(UserError, match="the package of entry point broken_skills failed to load: ModuleNotFound"):
        registry.get("money.total")


def test_a_package_adds_names_and_replaces_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from nadg.skills.api import Table, skill\n"
        "@skill('text.sentiment')\ndef other(table: Table) -> int:\n    'Not this one.'\n    return 1\n"
        "@skill('money.total')\ndef total(table: Table) -> int:\n    'Add up.'\n    return 2\n"
    )
    package(tmp_path, "more_skills", source)
    monkeypatch.syspath_prepend(tmp_path)
    registry = load_registry()
    assert registry.specs["money.total"].summary == "Add up."
    assert registry.specs["text.sentiment"].merges
    assert registry.broken == {"more_skills": "text.sentiment is already defined in nadg.skills.text.sentiment"}
