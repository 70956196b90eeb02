"""Pure parts: the filter assembler, the choice of a zygote, output, JSON checks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg.sandbox.choose import choose_zygote, imported_names
from nadg.sandbox.ending import result_problem
from nadg.sandbox.layers import bpf
from nadg.sandbox.output import Output
from nadg.sandbox.policy import Policy
from nadg.sandbox.result import Unfit, encode_result

ARCHITECTURE = 0xC000003E


def _evaluate(program: bpf.Block, number: int, arguments: list[int], architecture: int = ARCHITECTURE) -> int:
    """What a kernel would decide: a classic BPF interpreter for the few instructions in use."""
    data = {0: number, 4: architecture}
    for index, value in enumerate(arguments):
        data[16 + 8 * index], data[20 + 8 * index] = value & 0xFFFFFFFF, value >> 32
    place, word = 0, 0
    while True:
        one = program[place]
        place += 1
        match one.code:
            case 0x20:
                word = data[one.k]
            case 0x54:
                word &= one.k
            case 0x05:
                place += one.k
            case 0x06:
                return one.k
            case _:
                truth = {0x15: word == one.k, 0x35: word >= one.k, 0x45: bool(word & one.k)}[one.code]
                place += one.if_true if truth else one.if_false


@given(
    st.dictionaries(st.integers(0, 600), st.sampled_from([bpf.ALLOW, 0x50001, 0x50026]), max_size=300),
    st.lists(st.integers(0, 700), min_size=1, max_size=50),
)
def test_every_number_gets_its_verdict(rules: dict[int, int], numbers: list[int]) -> None:
    program = bpf.assemble(ARCHITECTURE, {number: bpf.give(rule) for number, rule in rules.items()}, bpf.give(7))
    for number in numbers:
        assert _evaluate(program, number, []) == rules.get(number, 7)


@pytest.mark.parametrize("number", [0x40000000, 0x40000001, 0xFFFFFFFF])
def test_foreign_numbers_and_architectures_kill(number: int) -> None:
    program = bpf.assemble(ARCHITECTURE, {1: bpf.give(bpf.ALLOW)}, bpf.give(7))
    assert _evaluate(program, number, []) == bpf.KILL
    assert _evaluate(program, 1, [], architecture=0x40000003) == bpf.KILL
    assert _evaluate(program, 1, []) == bpf.ALLOW


WORDS = st.integers(0, (1 << 64) - 1)


@given(WORDS, st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_conditions_look_at_the_low_half_only(value: int, values: list[int]) -> None:
    low = value & 0xFFFFFFFF
    yes, no = bpf.give(1), [*bpf.give(0)]
    assert _evaluate(bpf.if_argument(1, values, yes, no), 0, [0, value]) == int(low in values)
    assert _evaluate(bpf.if_any_bit(1, 6, yes, no), 0, [0, value]) == int(bool(low & 6))
    assert _evaluate(bpf.if_masked(1, 0xF, 5, yes, no), 0, [0, value]) == int(low & 0xF == 5)
    assert _evaluate(bpf.if_below(1, 1000, yes, no), 0, [0, value]) == int(low < 1000)
    assert _evaluate(bpf.if_null(1, yes, no), 0, [0, value]) == int(value == 0)
    assert _evaluate(bpf.if_null(1, yes, no), 0, [0, value << 32 & ((1 << 64) - 1)]) == int(low == 0)


@pytest.mark.parametrize(
    ("source", "zygote"),
    [
        ("x = 1", "lean"),
        ("import csv, json", "lean"),
        ("import numpy as np", "data"),
        ("from pandas import DataFrame", "data"),
        ("import os, matplotlib.pyplot as plt", "data"),
        ("x = 1; import pandas", "data"),
        ("def f():\n    from sklearn.cluster import KMeans\n", "data"),
        ("if True: import PIL.Image", "data"),
        ("text = 'we import numpy here'", "lean"),
        ("importnumpy = 1", "lean"),
    ],
)
def test_the_zygote_follows_the_imports(source: str, zygote: str) -> None:
    assert choose_zygote(source, Policy().zygotes) == zygote


def test_imports_are_top_level_names() -> None:
    source = "import a.b as c, d\nfrom e.f import g\n  import h # i\nfrom . import j"
    assert imported_names(source) == {"a", "d", "e", "h"}


@given(st.text(), st.integers(1, 7))
def test_text_survives_any_cut(text: str, step: int) -> None:
    told: list[str] = []
    output = Output(1 << 20, lambda _stream, piece: told.append(piece))
    data = text.encode("utf-8", "replace")
    for start in range(0, len(data), step):
        assert output.feed("stdout", data[start : start + step])
    output.close()
    assert "".join(told) == data.decode()


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(0, 200))
def test_no_more_than_the_limit_is_passed_on(pieces: list[bytes], limit: int) -> None:
    output = Output(limit, lambda *_: None)
    fits = [output.feed("stdout", piece) for piece in pieces]
    assert all(fits) == (sum(map(len, pieces)) <= limit)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_plain_data_comes_back_as_it_went(value: Any) -> None:
    try:
        encoded = encode_result(value)
    except Unfit:
        pytest.fail("plain data is always fit")
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    assert json.loads(encoded.data) == json.loads(text)
    assert encoded.length == (len(value) if isinstance(value, list) else None)
    assert result_problem(encoded.data) == ""


@pytest.mark.parametrize(
    ("depth", "fits"), [(199, True), (200, True), (201, False), (5000, False), (200_000, False)]
)
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}"), ('[{"]":', "}]")])
def test_depth_is_judged_whatever_the_brackets(depth: int, fits: bool, left: str, right: str) -> None:
    levels = left.count("[") + left.count("{") - left.count('"]"') * 0
    repeat = depth // levels + (depth % levels > 0 and not fits)
    data = left * repeat + "1" + right * repeat
    assert (result_problem(data.encode()) == "") == fits


@pytest.mark.parametrize("data", [b"", b"[1,", b"nul", b"\xff", b'"\xff"', b"1 2", b"9" * 4301, b"NaN"])
def test_broken_json_is_refused(data: bytes) -> None:
    assert result_problem(data)


def test_long_numbers_in_text_are_fine() -> None:
    assert result_problem(json.dumps("9" * 5000).encode()) == ""
