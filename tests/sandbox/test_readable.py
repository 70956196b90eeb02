"""What confined code may read of the machine: packages and their libraries, and the links that lead there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from nadg.sandbox.readable import links_on, readable_paths


def test_of_a_folder_on_the_import_path_only_packages_are_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("package", "wheel.libs", "data"):
        (tmp_path / folder).mkdir()
    for file in ("package/__init__.py", "module.py", ".env", "notes.txt", "data/secret"):
        (tmp_path / file).touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    found = readable_paths()
    ours = {Path(path).name for path in found.whole if path.startswith(str(tmp_path))}
    assert ours == {"package", "wheel.libs", "module.py"}
    assert str(tmp_path) in found.listed


def test_links_on_the_way_are_found_one_behind_another(tmp_path: Path) -> None:
    (tmp_path / "real" / "lib").mkdir(parents=True)
    (tmp_path / "first").symlink_to("real")
    (tmp_path / "second").symlink_to(tmp_path / "first")
    (tmp_path / "real" / "inner").symlink_to("lib")
    found = dict(links_on([f"{tmp_path}/second/inner/x"]))
    assert found == {
        f"{tmp_path}/second": f"{tmp_path}/first",
        f"{tmp_path}/first": "real",
        f"{tmp_path}/real/inner": "lib",
    }
    assert links_on([f"{tmp_path}/real/lib", "relative/path"]) == ()


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert {name for name, _ in links_on([f"{tmp_path}/a/x"])} == {f"{tmp_path}/a", f"{tmp_path}/b"}


@pytest.mark.parametrize(
    "source",
    [
        "import random; result = random.random()",
        "from random import random; result = random()",
        "import tempfile, random; result = [tempfile.mktemp(), random.sample(range(10**9), 3)]",
        "import secrets, uuid; result = [secrets.token_hex(8), str(uuid.uuid4())]",
    ],
)
def test_no_two_tasks_draw_the_same_random_numbers(box: Any, source: str) -> None:
    drawn = [str(box.value(source)) for _ in range(5)]
    assert len(set(drawn)) == 5


def test_a_seed_gives_what_it_gives_everywhere(box: Any) -> None:
    source = "import random; random.seed(1); result = [random.random(), random.Random(1).random()]"
    assert box.value(source) == [0.13436424411240122] * 2


def test_random_numbers_of_numpy_and_random_differ_in_the_data_zygote(data_box: Any) -> None:
    source = "import numpy, random; result = [float(numpy.random.rand()), random.random()]"
    drawn = [data_box.value(source) for _ in range(3)]
    assert len({one[0] for one in drawn}) == len({one[1] for one in drawn}) == 3
