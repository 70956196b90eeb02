"""Values become plain JSON data, and numbers are written as people read them."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from nadg.skills.plain import plain
from nadg.skills.wording import counted, listed, number, percent, shortened


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.5), 1.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(7), 7),
        (np.str_("a"), "a"),
        (float("nan"), None),
        (-math.inf, None),
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Timestamp("2020-01-02"), "2020-01-02T00:00:00"),
        (pd.Series([1.0, float("nan")]), [1.0, None]),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (Path("a/b"), "a/b"),
        ({"b", "a"}, ["a", "b"]),
        ((1, 2), [1, 2]),
        ({1: (2,)}, {"1": [2]}),
    ],
)
def test_plain_values(value: object, expected: object) -> None:
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)


@pytest.mark.parametrize("value", [object(), b"bytes", print])
def test_what_has_no_json_form(value: object) -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        plain(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (0.48213, "0.4821"),
        (1234.56, "1,235"),
        (12.3456, "12.35"),
        (-0.5, "-0.5"),
        (0.00001234, "1.23e-05"),
        (1e20, "1.000e+20"),
        (float("nan"), "–"),
        (None, "–"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_number_has_a_short_text(value: float) -> None:
    assert len(number(value)) <= 20


def test_words() -> None:
    assert (counted(1, "row"), counted(3708, "row"), counted(2, "category")) == (
        "1 row",
        "3,708 rows",
        "2 categories",
    )
    assert (percent(1, 3), percent(1, 1000), percent(1, 0), percent(0, 5)) == ("33%", "0.1%", "–", "0%")
    assert (listed([]), listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c"], most=2)) == (
        "none", "a", "a, b and c", "a, b and 1 more",
    )  # fmt: skip
    assert shortened("a  few\nwords that go on", 14) == "a few words…"


@given(st.text(max_size=50), st.integers(3, 30))
def test_shortened_text_fits(text: str, most: int) -> None:
    assert len(shortened(text, most)) <= most
