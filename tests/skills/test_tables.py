"""Profile, clean, describe, group and join, against pandas and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nadg.domain.errors import UserError

Call = Callable[..., Any]
Write = Callable[[str, str], Path]


def test_cleaning_changes_only_what_is_missing(call: Call, cars: Path, here: Path) -> None:
    result = call("table.clean", cars)
    before = pd.read_csv(cars, dtype=str, keep_default_na=False)
    after = pd.read_csv(here / "cleaned.csv", dtype=str, keep_default_na=False)
    assert (result["missing_cells"], result["rows_after"], result["columns_after"]) == (14, 406, 9)
    gaps = before == ""
    assert after.where(~gaps).equals(before.where(~gaps))
    numbers = pd.read_csv(cars)
    for name in ("Miles_per_Gallon", "Horsepower"):
        assert (after[name][gaps[name]].astype(float) == numbers[name].median()).all()
    done = {one["column"]: one["done"] for one in result["columns"]}
    assert done == {"Miles_per_Gallon": "filled with the median, 23", "Horsepower": "filled with the median, 95"}


def test_dropping_rows_with_a_gap(call: Call, cars: Path, here: Path) -> None:
    assert call("table.clean", cars, strategy="drop")["rows_after"] == len(pd.read_csv(cars).dropna())
    assert not pd.read_csv(here / "cleaned.csv").isna().any().any()


def test_what_each_kind_of_gap_is_filled_with(call: Call, file: Write, here: Path) -> None:
    table = (
        "n,whole,kind,free,mostly,day\n"
        "1.5,1,a,first words of it,,2020-01-01\n"
        " NA , 2,b ,,,\n"
        "3.5,?,a,other words of it,x,2020-01-03\n"
        ",,,,,\n"
        "4.0,4,none,more words to it,,2020-01-04\n"
    )
    result = call("table.clean", file("t.csv", table))
    after = pd.read_csv(here / "cleaned.csv", dtype=str, keep_default_na=False)
    assert list(after.columns) == ["n", "whole", "kind", "free", "day"]
    assert list(after["n"]) == ["1.5", "3.5", "3.5", "4.0"]
    assert list(after["whole"]) == ["1", "2", "2", "4"]
    assert list(after["kind"]) == ["a", "b", "a", "a"]
    assert list(after["free"])[1] == ""
    assert result["empty_rows"] == 1
    done = {one["column"]: one["done"] for one in result["columns"]}
    assert done["mostly"] == "the column was dropped (75% missing)"
    assert done["free"] == "left empty: no value stands for the others (text)"
    call("table.clean", file("t.csv", table), strategy="fill")
    assert "mostly" in pd.read_csv(here / "cleaned.csv").columns


def test_repeated_rows_are_kept_unless_asked(call: Call, file: Write) -> None:
    path = file("t.csv", "a,b\n1,x\n1,x\n2,y\n")
    assert (
        call("table.clean", path)["rows_after"],
        call("table.clean", path, repeated_rows="drop")["rows_after"],
    ) == (3, 2)


def test_nothing_left_is_said(call: Call, file: Write) -> None:
    with pytest.raises(
        UserError, match="every row has a missing cell, so none would be left; use `strategy: fill`"
    ):
        call("table.clean", file("t.csv", "a,b\n1,\n,2\n"), strategy="drop")


def test_statistics_equal_those_of_pandas(call: Call, cars: Path, here: Path) -> None:
    result = call("table.describe", cars)
    table = pd.read_csv(cars)
    numbers = list(table.select_dtypes("number").columns)
    assert list(result["statistics"]) == numbers
    expected = table[numbers].describe()
    for name in numbers:
        found = result["statistics"][name]
        for ours, theirs in (
            ("count", "count"),
            ("mean", "mean"),
            ("std", "std"),
            ("q1", "25%"),
            ("median", "50%"),
        ):
            assert found[ours] == pytest.approx(expected.loc[theirs, name])
    written = pd.read_csv(here / "correlations.csv", index_col=0)
    pd.testing.assert_frame_equal(written, table[numbers].corr().rename_axis("column"), atol=1e-6)
    assert pd.read_csv(here / "statistics.csv")["column"].tolist() == numbers
    assert result["correlations"][0]["columns"] == ["Cylinders", "Displacement"]


def test_a_column_that_never_changes_correlates_with_nothing(call: Call, file: Write) -> None:
    result = call("table.describe", file("t.csv", "a,b\n1,5\n3,5\n9,5\n"))
    assert result["correlations"] == []
    assert result["statistics"]["b"]["std"] == 0


def test_one_row_has_no_deviation(call: Call, file: Write) -> None:
    assert call("table.describe", file("t.csv", "a,b\n1.5,5\n"))["statistics"]["a"]["std"] is None


def test_no_numbers_to_describe(call: Call, file: Write) -> None:
    with pytest.raises(UserError, match="the table has no column of numbers; give one that has"):
        call("table.describe", file("t.csv", "a\nx\ny\n"))


@pytest.mark.parametrize("how", ["mean", "sum", "median", "min", "max", "std"])
def test_groups_equal_those_of_pandas(call: Call, cars: Path, here: Path, how: str) -> None:
    result = call("table.group", cars, by="Origin", values=["Horsepower"], how=how)
    expected = pd.read_csv(cars).groupby("Origin")["Horsepower"].agg(how)
    assert {one["group"]: one["Horsepower"] for one in result["groups"]} == pytest.approx(expected.to_dict())
    assert sorted(path.name for path in here.iterdir()) == ["groups.csv", "groups.png"]


def test_counting_groups_with_a_missing_one(call: Call, file: Write) -> None:
    path = file("t.csv", "region,price\nnorth,1\n,2\nnorth,3\nsouth,\n")
    result = call("table.group", path, how="count")
    counts = {one["group"]: one["rows"] for one in result["groups"]}
    assert counts == {"north": 2, "(missing)": 1, "south": 1}
    means = call("table.group", path, by="region", values="price")["groups"]
    assert {one["group"]: one["price"] for one in means} == {"north": 2, "(missing)": 2, "south": None}


def test_groups_by_numbers_and_dates(call: Call, cars: Path) -> None:
    groups = call("table.group", cars, by="Cylinders", values=["Horsepower"])["groups"]
    assert {one["group"] for one in groups} == {"3", "4", "5", "6", "8"}
    groups = call("table.group", cars, by="Year", values=["Horsepower"])["groups"]
    assert "1970-01-01" in {one["group"] for one in groups}


def test_profile(call: Call, cars: Path, here: Path) -> None:
    result = call("table.profile", cars)
    kinds = {one["column"]: (one["kind"], one["missing"]) for one in result["columns"]}
    assert kinds["Horsepower"] == ("number", 6)
    assert kinds["Origin"] == ("category", 0)
    assert kinds["Year"] == ("date", 0)
    assert len(pd.read_csv(here / "profile.csv")) == 9


LEFT, RIGHT = "id,name\n1,a\n 2,b\n,c\n1,d\n", "id,price,name\n1,10,x\n3,5,z\n,7,q\n"


@pytest.mark.parametrize(
    ("how", "rows"),
    [
        ("inner", [("1", "a", "10", "x"), ("1", "d", "10", "x")]),
        ("left", [("1", "a", "10", "x"), ("2", "b", "", ""), ("", "c", "", ""), ("1", "d", "10", "x")]),
        ("right", [("1", "a", "10", "x"), ("1", "d", "10", "x"), ("3", "", "5", "z"), ("", "", "7", "q")]),
    ],
)
def test_join(call: Call, file: Write, here: Path, how: str, rows: list[tuple[str, ...]]) -> None:
    result = call("table.join", file("left.csv", LEFT), file("right.csv", RIGHT), on="id", how=how)
    joined = pd.read_csv(here / "joined.csv", dtype=str, keep_default_na=False)
    assert list(joined.columns) == ["id", "name", "price", "name_right"] == result["columns"]
    assert [tuple(row) for row in joined.itertuples(index=False)] == rows


def test_outer_join_keeps_everything(call: Call, file: Write) -> None:
    assert call("table.join", file("left.csv", LEFT), file("right.csv", RIGHT), on="id", how="outer")["rows"] == 6


def test_three_tables_on_what_they_share(call: Call, file: Write) -> None:
    names = [file(f"{name}.csv", f"key,{name}\nk,1\n") for name in "abc"]
    result = call("table.join", *names)
    assert (result["on"], result["columns"]) == (["key"], ["key", "a", "b", "c"])


def test_tables_that_share_nothing(call: Call, file: Write) -> None:
    with pytest.raises(UserError) as refused:
        call("table.join", file("a.csv", "x,y\n1,2\n"), file("b.csv", "z\n1\n"))
    assert str(refused.value) == (
        "table.join: the tables share no column (a.csv has x and y; b.csv has z); give one the other's name"
    )


def test_a_join_that_would_explode_is_refused(call: Call, file: Write) -> None:
    many = "k\n" + "same\n" * 3000
    with pytest.raises(UserError, match=r"repeats so often that the result would have 9,000,000 rows"):
        call("table.join", file("a.csv", many), file("b.csv", many))


def test_a_join_without_a_match_says_so(call: Call, file: Write) -> None:
    result = call("table.join", file("a.csv", "k,a\n1,x\n"), file("b.csv", "k,b\n2,y\n"))
    assert result["rows"] == 0
    assert result["notes"] == ["No value of k stands in all of the tables."]
