"""Arguments that do not fit get one sentence that names the field, the value and the mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.errors import UserError
from nadg.skills.arguments import checked_arguments
from nadg.skills.registry import load_registry

Call = Callable[..., Any]

UNFIT: list[tuple[str, dict[str, object], str]] = [
    (
        "text.topics",
        {"cuont": 3},
        "text.topics: unknown argument 'cuont', did you mean 'count'?; its arguments are",
    ),
    ("image.grayscale", {"x": 3}, "image.grayscale: unknown argument 'x'; it takes no arguments"),
    ("text.topics", {"count": 1}, "text.topics: argument 'count' is 1; give a whole number from 2 to 50"),
    ("text.topics", {"count": 2.5}, "text.topics: argument 'count' is 2.5; give a whole number from 2 to 50"),
    (
        "text.topics",
        {"count": float("nan")},
        "text.topics: argument 'count' is nan; give a whole number from 2 to 50",
    ),
    (
        "text.topics",
        {"count": float("inf")},
        "text.topics: argument 'count' is inf; give a whole number from 2 to 50",
    ),
    ("text.topics", {"count": True}, "text.topics: argument 'count' is True; give a whole number from 2 to 50"),
    ("text.topics", {"count": "3"}, "text.topics: argument 'count' is '3'; give a whole number from 2 to 50"),
    ("text.topics", {"column": 3}, "text.topics: argument 'column' is 3; give the name of a column"),
    ("text.duplicates", {"threshold": 2}, "argument 'threshold' is 2; give a number from 0.1 to 1"),
    ("text.words", {"stop_words": "yes"}, "text.words: argument 'stop_words' is 'yes'; give true or false"),
    (
        "table.clean",
        {"strategy": "burn"},
        "table.clean: argument 'strategy' is 'burn'; give one of auto, fill, drop",
    ),
    ("table.describe", {"columns": []}, "table.describe: argument 'columns' is []; give a list of column names"),
    ("table.describe", {"columns": [1]}, "table.describe: argument 'columns' is [1]; give a list of column names"),
    ("image.convert", {}, "image.convert: argument 'format' is missing; give one of png, jpeg, jpg, webp"),
    ("image.convert", {"format": None}, "image.convert: argument 'format' is None; give one of png"),
]


@pytest.mark.parametrize(("skill", "given", "says"), UNFIT)
def test_an_unfit_value_gets_one_sentence(skill: str, given: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as refused:
        checked_arguments(load_registry().get(skill).spec, given)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_defaults_are_filled_in_and_numbers_made_whole() -> None:
    spec = load_registry().get("text.keywords").spec
    assert checked_arguments(spec, {"count": 5.0}) == {"column": "", "count": 5, "longest": 3}
    assert checked_arguments(spec, {"count": None})["count"] == 20


def test_one_column_may_stand_for_a_list_of_one() -> None:
    assert checked_arguments(load_registry().get("table.describe").spec, {"columns": "a"}) == {"columns": ["a"]}


@pytest.mark.parametrize(
    ("skill", "given", "says"),
    [
        (
            "text.sentiment",
            {"column": "Nme"},
            "column 'Nme' is not in cars.csv, did you mean 'Name'?; its columns are",
        ),
        (
            "text.sentiment",
            {"column": "Weight_in_lbs"},
            "text.sentiment: argument 'column': column 'Weight_in_lbs' of cars.csv holds numbers, not text; "
            "give a file that has such a column",
        ),
        (
            "chart.histogram",
            {"columns": ["Origin"]},
            "column 'Origin' of cars.csv holds category, not numbers; choose 'Miles_per_Gallon', 'Cylinders'",
        ),
        (
            "text.sentiment",
            {},
            "cars.csv: no column holds text (sentences); its columns are 'Name', 'Miles_per_Gallon'",
        ),
    ],
)
def test_a_column_that_does_not_fit(
    call: Call, cars: Path, skill: str, given: dict[str, object], says: str
) -> None:
    with pytest.raises(UserError) as refused:
        call(skill, cars, **given)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_wrong_number_of_inputs(call: Call, cars: Path, reviews: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"table.clean: the subtask has no input; name the table to read"):
        call("table.clean")
    with pytest.raises(UserError, match=r"table.clean: reads one table, but the inputs are cars.csv, reviews.csv"):
        call("table.clean", cars, reviews)
    with pytest.raises(
        UserError, match=r"table.join: needs two tables or more under `inputs` \(given: cars.csv\)"
    ):
        call("table.join", cars)
    with pytest.raises(UserError, match=r"image.grayscale: needs an image under `inputs` \(given: cars.csv\)"):
        call("image.grayscale", cars)
    picture = tmp_path / "other.png"
    picture.write_bytes(b"")
    assert call("table.clean", cars, picture)["rows_after"] == 406
