"""The example package of docs/SKILLS.md is installed as its metadata says, found, and run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.errors import UserError
from nadg.skills.registry import load_registry

DOCUMENT = Path(__file__).parents[2] / "docs" / "SKILLS.md"
Call = Callable[..., Any]


def block(first_line: str) -> str:
    """The fenced block that starts with this line."""
    blocks = re.findall(r"^```\w+\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)
    return next(str(text) for text in blocks if text.startswith(first_line))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example as an installer leaves it in a folder on the path."""
    project = tomllib.loads(block("# pyproject.toml"))["project"]
    (point, module), *_ = project["entry-points"]["nadg.skills"].items()
    folder = tmp_path / "site"
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (metadata / "entry_points.txt").write_text(f"[nadg.skills]\n{point} = {module}\n")
    (folder / f"{module}.py").write_text(block("# nadg_readability.py"))
    monkeypatch.syspath_prepend(folder)
    return folder


def test_it_is_found_with_its_spec(installed: Path) -> None:
    registry = load_registry()
    assert registry.broken == {}
    spec = registry.specs["text.readability"]
    assert (spec.takes, spec.produces, spec.summary) == (
        "table",
        ("long_texts.txt",),
        "Tell how many words the texts have, and which are long.",
    )
    assert [(one.name, one.type, one.minimum, one.maximum) for one in spec.parameters] == [
        ("column", "column", None, None),
        ("most_words", "integer", 1, 1000),
    ]


def test_it_runs_like_any_other(installed: Path, call: Call, reviews: Path, here: Path) -> None:
    result = call("text.readability", reviews, most_words=60)
    assert set(result) == {
        "kind", "title", "headline", "notes", "tables", "pictures", "files", "mean_words", "long_texts",
    }  # fmt: skip
    assert result["headline"].startswith("A text has 16.5 words")
    assert len((here / "long_texts.txt").read_text(encoding="utf-8").splitlines()) == result["long_texts"] > 0


def test_its_errors_are_sentences(installed: Path, call: Call, reviews: Path) -> None:
    with pytest.raises(UserError, match="argument 'most_words' is 0; give a whole number from 1 to 1000"):
        call("text.readability", reviews, most_words=0)
    with pytest.raises(
        UserError, match=r"column 'human_rating' of reviews\.csv holds numbers, not text; choose 'text'"
    ):
        call("text.readability", reviews, column="human_rating")


def test_the_document_names_every_builtin_skill() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in load_registry().specs if f"`{name}`" not in text] == []
