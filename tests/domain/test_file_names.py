"""Names of any bytes as text, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nadg.domain.file_names import bytes_of_name, name_of_bytes, shown_name

PIECES = [
    b"\\",
    b"x",
    b"u",
    b"U",
    b"5c",
    b"ff",
    b"202e",
    b"000e0001",
    b"\xff",
    b"\xed\xa0\x80",
    b"a",
    "é".encode(),
]
RAW = st.one_of(st.binary(max_size=40), st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))


@given(RAW)
@example(b"\\xff")
@example(b"\\x5cxff")
@example(b"\\\\x5c\xff")
def test_every_name_is_text_that_leads_back_to_its_bytes(raw: bytes) -> None:
    name = name_of_bytes(raw)
    assert json.loads(json.dumps(name).encode()) == name
    assert name.encode().decode() == name
    assert bytes_of_name(name) == raw


@given(RAW, RAW)
def test_two_names_are_never_one(one: bytes, other: bytes) -> None:
    assert (name_of_bytes(one) == name_of_bytes(other)) == (one == other)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_text_stands_for_another_folder(name: str) -> None:
    """Names of hostile origin as well: what they stand for has their slashes, their dots and their NULs."""
    raw = bytes_of_name(name)
    for byte in (b"/", b".", b"\0"):
        assert raw.count(byte) == name.encode().count(byte)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"plain.csv", "plain.csv"),
        (b"C:\\plain", "C:\\plain"),
        ("é\n".encode(), "é\n"),
        (b"\xff\xe2\x82\xac", "\\xff€"),
        (b"\\xff", "\\x5cxff"),
        (b"\\x1b", "\\x5cx1b"),
        (b"\\u202e", "\\x5cu202e"),
        (b"\\xFF", "\\xFF"),
    ],
)
def test_only_what_could_be_mistaken_is_changed(raw: bytes, name: str) -> None:
    assert name_of_bytes(raw) == name


def test_a_file_is_found_again_by_its_name(tmp_path: Path) -> None:
    raws = {b"\xff\n", b"\\xff\n", b"\\x5cxff"}
    for raw in raws:
        (tmp_path / os.fsdecode(raw)).touch()
    names = [name_of_bytes(os.fsencode(path.name)) for path in tmp_path.iterdir()]
    assert {bytes_of_name(name) for name in names} == raws


@given(RAW, RAW)
def test_what_people_see_is_one_harmless_line_and_never_mistaken(one: bytes, other: bytes) -> None:
    shown = [shown_name(name_of_bytes(raw), 1000) for raw in (one, other)]
    assert all(text.isprintable() for text in shown)
    assert (shown[0] == shown[1]) == (one == other)


def test_a_long_name_is_cut_for_people() -> None:
    assert shown_name("a" * 80) == "a" * 80
    assert shown_name("a" * 81) == "a" * 79 + "…"
    assert shown_name("\n" * 81).startswith("\\x0a\\x0a")
    assert len(shown_name("\n" * 81)) == 80
