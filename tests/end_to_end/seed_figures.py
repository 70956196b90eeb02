"""The figures that the answers of the five example runs must hold, counted from the files by other means."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Callable
from pathlib import Path

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from tests.support.seed_plans import EXAMPLES, PLANS

POSITIVE, NEGATIVE = 0.05, -0.05
"""VADER's own thresholds of the compound score."""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def review_figures() -> list[str]:
    score = SentimentIntensityAnalyzer().polarity_scores
    scores = [score(row["text"])["compound"] for row in rows_of(EXAMPLES / "reviews.csv")]
    positive, negative = sum(one >= POSITIVE for one in scores), sum(one <= NEGATIVE for one in scores)
    neutral = len(scores) - positive - negative
    return [f"Of {len(scores)} reviews {positive} are positive, {neutral} neutral and {negative} negative."]


def car_figures() -> list[str]:
    rows = rows_of(EXAMPLES / "cars.csv")
    gaps = sum(not cell for row in rows for cell in row.values())
    columns = {
        name: _filled(rows, name) for name in ("Miles_per_Gallon", "Horsepower", "Weight_in_lbs", "Acceleration")
    }
    outside = {name: _outliers(values) for name, values in columns.items()}
    r = statistics.correlation(columns["Weight_in_lbs"], columns["Miles_per_Gallon"])
    means = [
        f"{origin} {statistics.fmean(_of_origin(rows, columns['Miles_per_Gallon'], origin)):.4g}"
        for origin in sorted({row["Origin"] for row in rows})
    ]
    return [
        f"{gaps} cells of {len(rows)} rows were filled.",
        *means,
        *(f"{name} {count}" for name, count in outside.items()),
        f"together {sum(outside.values())}.",
        f"r = {r:.6f}.",
    ]


def _filled(rows: list[dict[str, str]], column: str) -> list[float]:
    known = [float(row[column]) for row in rows if row[column]]
    return [float(row[column]) if row[column] else statistics.median(known) for row in rows]


def _of_origin(rows: list[dict[str, str]], values: list[float], origin: str) -> list[float]:
    return [value for row, value in zip(rows, values, strict=True) if row["Origin"] == origin]


def _outliers(values: list[float]) -> int:
    low, _, high = statistics.quantiles(values, n=4)
    reach = 1.5 * (high - low)
    return sum(not low - reach <= value <= high + reach for value in values)


def product_figures() -> list[str]:
    rows = rows_of(PLANS / "products.csv")
    worth = sum(float(row["price_eur"]) for row in rows)
    return [f"{len(rows)} products worth {worth:.2f} EUR", f"for {', '.join(row['name'] for row in rows)}."]


def competitor_figures() -> list[str]:
    rows = rows_of(PLANS / "competitors.csv")
    us = next(row for row in rows if row["is_us"] == "yes")
    cheapest = min(rows, key=lambda row: float(row["price_eur_per_month"]))

    def place(figure: Callable[[dict[str, str]], float], *, high: bool = True) -> int:
        return sum((figure(row) > figure(us)) if high else (figure(row) < figure(us)) for row in rows) + 1

    def price(row: dict[str, str]) -> float:
        return float(row["price_eur_per_month"])

    def features(row: dict[str, str]) -> int:
        return int(row["features"])

    return [
        f"{us['company']} is one of {len(rows)}: {place(price, high=False)} in price, "
        f"{place(features)} in features, {place(lambda row: features(row) / price(row))} in features_per_10_eur, "
        f"{place(lambda row: float(row['rating']))} in rating",
        f"{cheapest['company']} is the cheapest, at {cheapest['price_eur_per_month']} EUR.",
    ]


def client_figures() -> list[str]:
    tests = (PLANS / "client.json").read_text(encoding="utf-8").count("def test_")
    return [f"All {tests} tests ran, 0 failed.", "The client has 4 methods and a manual."]


FIGURES = {
    "reviews": review_figures,
    "cars": car_figures,
    "products": product_figures,
    "competitors": competitor_figures,
    "client": client_figures,
}
