"""Paths that are a file of their own on every system, whatever the artifacts are called."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nadg.domain.unpacked_paths import LONG_FOLDER, MAX_PATH_UNITS, unpacked_paths

CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from(list("aAeEéÉßſKkıIﬁ.. //%-2~1:\\\0\n\x7f\u202e\u200d\u0301C0oOnN")),
)
PARTS = st.one_of(
    st.text(CHARACTERS, max_size=12),
    st.sampled_from(["con", "CON.txt", "nul .a", "com¹", "a", "A", "a.", "..", ".", "", "LONGNA~1", "%long"]),
    st.builds(str.__mul__, st.sampled_from(["a", "é", "\n", "😀", "漢"]), st.integers(0, 300)),
)
NAMES = st.lists(st.lists(PARTS, min_size=1, max_size=5).map("/".join), max_size=25)


def folded(path: str) -> str:
    """As the most tolerant of the systems compares."""
    text = unicodedata.normalize("NFD", path)
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text.casefold()).upper())


def with_folders(paths: Iterable[str]) -> tuple[set[str], set[str]]:
    files = set(paths)
    folders = {"/".join(path.split("/")[:end]) for path in files for end in range(1, path.count("/") + 1)}
    return files, folders


@given(NAMES)
@example(["a", "A", "a/b", "a%-2", "A%-2"])
@example(["é", "e\u0301", "É", "\u212a", "k", "K"])
@example(["a/x", "A/x", "A/y", "a/X"])
@example(["a" * 161, "a" * 162, "b/" * 90 + "a"])
def test_every_path_is_a_file_of_its_own_everywhere(names: list[str]) -> None:
    paths = unpacked_paths(names)
    assert set(paths) == set(names)
    files, folders = with_folders(paths.values())
    assert len({folded(path) for path in files}) == len(paths)
    assert len({folded(path) for path in folders}) == len(folders)
    assert {folded(path) for path in files}.isdisjoint(folded(path) for path in folders)
    for path in files:
        assert_safe(path)


def assert_safe(path: str) -> None:
    assert path.isprintable()
    assert len(path.encode("utf-16-le")) <= 2 * MAX_PATH_UNITS
    windows = PureWindowsPath(path)
    assert not windows.is_absolute()
    assert not windows.drive
    assert not windows.is_reserved()
    assert windows.parts == tuple(path.split("/"))
    for part in path.split("/"):
        assert part not in ("", ".", "..")
        assert not set(part) & set('<>:"\\|?*')
        assert not part.endswith((".", " "))
        assert len(part.encode()) <= 255


@given(NAMES)
def test_the_order_of_the_names_does_not_matter(names: list[str]) -> None:
    assert unpacked_paths(names) == unpacked_paths([*reversed(names), *names])


@given(st.lists(st.text(CHARACTERS, min_size=1, max_size=12).filter(lambda part: "/" not in part), min_size=1))
def test_a_path_reads_back_as_the_name(parts: list[str]) -> None:
    """Where it needed neither a number nor a place elsewhere."""
    name = "/".join(parts)
    path = unpacked_paths([name])[name]
    if not path.startswith(LONG_FOLDER):
        assert unquote(path, errors="strict") == name


@pytest.mark.parametrize(
    "name",
    ["plot.png", "charts/a.b.csv", "-rf", ".hidden", "Überblick 2024 (neu).txt", "漢字/😀.txt", "a~b"],
)
def test_harmless_names_stay(name: str) -> None:
    assert unpacked_paths([name]) == {name: name}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a:b?.txt", "a%3Ab%3F.txt"),
        ("100%.txt", "100%25.txt"),
        ("back\\slash", "back%5Cslash"),
        ("two\nlines", "two%0Alines"),
        ("gpj.\u202eexe", "gpj.%E2%80%AEexe"),
        ("dot.", "dot%2E"),
        ("space ", "space%20"),
        ("con", "%63on"),
        ("deep/NUL.txt", "deep/%4EUL.txt"),
        ("COM¹ .x", "%43OM¹ .x"),
        ("LONGNA~1.TXT", "LONGNA%7E1.TXT"),
        ("../../etc/passwd", ".%2E/.%2E/etc/passwd"),
        ("/etc/passwd", "%/etc/passwd"),
        ("./a//b", "%2E/a/%/b"),
    ],
)
def test_unsafe_names_are_encoded(name: str, path: str) -> None:
    assert unpacked_paths([name]) == {name: path}


def test_twins_are_numbered_before_their_ending() -> None:
    assert unpacked_paths(["a.txt", "A.txt", "A.TXT"]) == {
        "A.TXT": "A.TXT",
        "A.txt": "A%-2.txt",
        "a.txt": "a%-3.txt",
    }
    assert unpacked_paths(["a", "A/x", "A/y"]) == {"A/x": "A/x", "A/y": "A/y", "a": "a%-2"}
    assert unpacked_paths(["e\u0301", "é"]) == {"e\u0301": "e\u0301", "é": "é%-2"}
    assert unpacked_paths(["a", "a/b"]) == {"a": "a%-2", "a/b": "a/b"}


def test_what_is_too_long_keeps_its_begin_and_its_ending() -> None:
    deep = "d/" * 200
    paths = unpacked_paths([f"{deep}plot.png", f"{deep}e/plot.png", "x" * 255])
    assert paths == {
        f"{deep}e/plot.png": "%long/plot.png",
        f"{deep}plot.png": "%long/plot%-2.png",
        "x" * 255: "%long/" + "x" * 60,
    }


def test_a_hundred_thousand_names_and_a_very_long_one() -> None:
    names = [f"folder{index % 100}/File {index}" for index in range(100_000)]
    paths = unpacked_paths([*names, "a/" * 3_000_000])
    assert [paths[name] for name in names] == names


def test_they_stand_beside_each_other_on_this_disk(tmp_path: Path) -> None:
    names = ["a", "A", "é", "e\u0301", "con", "x.", "..", "a/b", "n\nl", "漢" * 85, "x" * 255, "d/" * 80 + "f"]
    for name, path in unpacked_paths(names).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(name)
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(written) == sorted(names)
