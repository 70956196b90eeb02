"""What the imitated model answers in the five example runs: all of it made from what stands in the request."""

from __future__ import annotations

import json
from typing import Any

from tests.support.gemini import Answer, Request, Say
from tests.support.scripted_model import as_json, data_in, item_of, results_in
from tests.support.seed_plans import Seed


def name_topic(request: Request) -> Answer:
    """`labels` of the reviews."""
    topic = item_of(request)
    label = str(topic["words"]).split(",")[0].title()
    return as_json({"label": label, "summary": f"{len(topic['texts'])} texts are about {label}."})


def describe_product(request: Request) -> Answer:
    """`texts` of the products."""
    row = item_of(request)
    return as_json(
        {"headline": f"Meet {row['name']}", "description": f"The {row['name']} is of {row['material']}."}
    )


def write_about_companies(request: Request) -> Answer:
    """`profiles` by row, then `standing` by the ranks."""
    if "row" in data_in(request):
        row = item_of(request)
        return as_json({"strength": f"{row['features']} features", "weakness": str(row["note"])})
    ranks = json.loads(data_in(request)["result of ranks"])
    places = ", ".join(f"{place} in {figure}" for figure, place in ranks["our_places"].items())
    return Say(f"{ranks['us']} is one of {ranks['companies']}: {places}.")


def document_client(request: Request) -> Answer:
    """`manual`: names the methods that the source has."""
    source = json.loads(data_in(request)["result of client"])["source"]
    assert "Tern parcels API" in data_in(request)["api.md"]
    methods = [name for name in ("parcels", "parcel", "book", "cancel") if f"def {name}(" in source]
    return Say("# The client\n\n" + "\n".join(f"- `{name}`" for name in methods))


PROMPTS = {
    "reviews": name_topic,
    "products": describe_product,
    "competitors": write_about_companies,
    "client": document_client,
}


def answer_reviews(results: dict[str, Any]) -> str:
    table = results["together"]["tables"][0]
    place = {name: index for index, name in enumerate(table["columns"])}
    counted = {
        mood: sum(row[place[mood]] for row in table["rows"]) for mood in ("positive", "neutral", "negative")
    }
    names = ", ".join(str(row[place["topic"]]) for row in table["rows"])
    return (
        f"## Mood\n\nOf {results['together']['reviews']} reviews {counted['positive']} are positive, "
        f"{counted['neutral']} neutral and {counted['negative']} negative. [together]\n\n"
        f"{results['moods']['notes'][0]} [moods]\n\n"
        f"## Topics\n\n- They are about {names}. [topics][together]\n- The report has it all. [report]"
    )


def answer_cars(results: dict[str, Any]) -> str:
    cleaned, groups = results["clean"], results["origins"]["tables"][0]
    means = ", ".join(f"{row[0]} {row[2]}" for row in groups["rows"])
    outliers = ", ".join(f"{one['column']} {one['outliers']}" for one in results["outliers"])
    return (
        f"{cleaned['missing_cells']} cells of {cleaned['rows_before']} rows were filled. [clean]\n\n"
        f"Miles per gallon by origin: {means}. [origins]\n\n"
        f"Outliers: {outliers}; together {results['unusual']['outliers']}. [outliers][unusual]\n\n"
        f"Weight against consumption: r = {results['weight']['pearson']:.6f}. [weight]"
    )


def answer_products(results: dict[str, Any]) -> str:
    markdown = results["catalogue"]
    prices = [float(line.split()[-2]) for line in markdown.splitlines() if line.endswith(" EUR")]
    described = [one["headline"].removeprefix("Meet ") for one in results["texts"]]
    return (
        f"The catalogue has {len(prices)} products worth {sum(prices):.2f} EUR. [catalogue]\n\n"
        f"Texts were written for {', '.join(described)}. [texts]"
    )


def answer_competitors(results: dict[str, Any]) -> str:
    cheapest = min(results["figures"], key=lambda one: one["price"])
    return (
        f"{results['standing']} [standing][ranks]\n\n{cheapest['company']} is the cheapest, "
        f"at {cheapest['price']:g} EUR. [figures][profiles]\n\n{results['prices']['headline']} [prices]"
    )


def answer_client(results: dict[str, Any]) -> str:
    checked, methods = results["checked"], results["manual"].count("- `")
    return (
        f"The client has {methods} methods and a manual. [client][manual]\n\n"
        f"All {checked['tests']} tests ran, {checked['failed']} failed. [checked][tests]\n\n"
        f"Everything lies in one folder. [package]"
    )


ANSWERS = {
    "reviews": answer_reviews,
    "cars": answer_cars,
    "products": answer_products,
    "competitors": answer_competitors,
    "client": answer_client,
}


def write_answer(seed: Seed, request: Request) -> Answer:
    """The answer of a run, from the results in the request."""
    return Say(ANSWERS[seed.name](results_in(request)))
