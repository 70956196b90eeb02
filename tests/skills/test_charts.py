"""Every chart is drawn from real data as a picture of sensible size, and says what it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nadg.domain.errors import UserError

Call = Callable[..., Any]
Write = Callable[[str, str], Path]


def check_picture(path: Path) -> None:
    """A PNG of a size that suits a page, with something on it."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert 500 <= image.width <= 2400
        assert 200 <= image.height <= 2400
        assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 10


@pytest.mark.parametrize(
    ("skill", "arguments", "headline"),
    [
        (
            "chart.histogram",
            {"columns": ["Horsepower"]},
            "Horsepower goes from 46 to 230, with half of the values below 95.",
        ),
        ("chart.histogram", {}, "How 6 number columns are spread."),
        ("chart.histogram", {"columns": ["Weight_in_lbs"], "bins": 5}, "Weight_in_lbs goes from 1,613 to 5,140"),
        ("chart.bar", {}, "Of 3 groups, “USA” has the largest number of rows: 254."),
        (
            "chart.bar",
            {"category": "Origin", "value": "Horsepower"},
            "“USA” has the largest average Horsepower: 119.9.",
        ),
        ("chart.bar", {"category": "Name"}, "Of 311 groups, “ford pinto” has the largest number of rows: 6."),
        (
            "chart.scatter",
            {"x": "Acceleration", "y": "Weight_in_lbs"},
            "Weight_in_lbs against Acceleration: a correlation of -0.43 (Pearson) over 406 rows.",
        ),
        (
            "chart.scatter",
            {"x": "Horsepower", "color": "Origin"},
            "Displacement against Horsepower: a correlation of 0.90",
        ),
        (
            "chart.line",
            {"x": "Year", "y": ["Miles_per_Gallon"]},
            "Average Miles_per_Gallon along Year, 12 places from 1970",
        ),
        ("chart.line", {}, "along Year"),
        ("chart.line", {"x": "Weight_in_lbs", "y": "Horsepower"}, "Average Horsepower along Weight_in_lbs"),
        ("chart.heatmap", {}, "Cylinders and Displacement go together most closely (r = 0.95)."),
    ],
)
def test_a_chart_of_cars(
    call: Call, cars: Path, here: Path, skill: str, arguments: dict[str, object], headline: str
) -> None:
    result = call(skill, cars, **arguments)
    assert headline in result["headline"]
    assert [one["file"] for one in result["pictures"]] == [path.name for path in here.iterdir()]
    check_picture(here / result["pictures"][0]["file"])


def test_an_overview_has_what_the_table_has(call: Call, cars: Path, here: Path) -> None:
    result = call("chart.overview", cars)
    files = [one["file"] for one in result["pictures"]]
    assert files == ["histograms.png", "categories.png", "over_time.png", "heatmap.png", "scatter.png"]
    assert sorted(path.name for path in here.iterdir()) == sorted(files)
    for name in files:
        check_picture(here / name)


@pytest.mark.parametrize(
    ("table", "files"),
    [
        ("n\n1\n5\n2\n", ["histograms.png"]),
        ("kind\na\nb\na\n", ["categories.png"]),
        ("a,b\n1,4\n5,5\n2,9\n", ["histograms.png", "heatmap.png", "scatter.png"]),
        ("same,n\n5,1\n5,9\n5,2\n", ["histograms.png", "heatmap.png"]),
    ],
)
def test_an_overview_of_little(call: Call, file: Write, table: str, files: list[str]) -> None:
    assert [one["file"] for one in call("chart.overview", file("t.csv", table))["pictures"]] == files


@pytest.mark.parametrize(
    ("skill", "says"),
    [
        ("chart.histogram", "chart.histogram: the table has no column of numbers; give one that has"),
        (
            "chart.scatter",
            "chart.scatter: fewer than two columns of numbers that change together; name them with 'x' and 'y'",
        ),
        (
            "chart.line",
            "chart.line: a line needs a date or number column across and another number column upwards",
        ),
        (
            "chart.heatmap",
            "chart.heatmap: fewer than two columns of numbers to compare; give a table that has two",
        ),
        ("chart.overview", "chart.overview: the table has neither numbers nor repeated words to draw"),
        ("chart.bar", "t.csv: no column holds categories (values that repeat); its columns are 'word'"),
    ],
)
def test_what_cannot_be_drawn_is_said(call: Call, file: Write, skill: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        call(skill, file("t.csv", "word\nx\ny\nz\n"))
    assert says in str(refused.value)


def test_labels_that_look_like_formulas_are_text(call: Call, file: Write, here: Path) -> None:
    table = "price $ and $ more,kind\n1,$5 to $10\n2,$\\frac{1\n3,$5 to $10\n9,a_b^c\n"
    call("chart.bar", file("t.csv", table), category="kind", value="price $ and $ more")
    check_picture(here / "bar.png")


def test_the_same_data_gives_the_same_picture(call: Call, cars: Path, here: Path) -> None:
    call("chart.scatter", cars)
    first = (here / "scatter.png").read_bytes()
    call("chart.scatter", cars)
    assert (here / "scatter.png").read_bytes() == first
