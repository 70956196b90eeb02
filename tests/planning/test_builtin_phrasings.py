"""Many ways to say a thing, against the installed skills: what is planned, and what is refused."""
# ruff: noqa: E501 - the tables of cases read best with one case a line

from __future__ import annotations

from collections.abc import Callable

import pytest

from nadg.domain.errors import UserError
from nadg.domain.plan import Plan

Planned = Callable[[str, str], Plan]
Sketched = Callable[[str, str], str]

CLEANED = "<clean/cleaned.csv"

UNDERSTOOD: list[tuple[str, str, str]] = [
    # the two commands of the README
    ("Analyze the sentiment of customer reviews, categorize them by topic, and generate a summary report", "reviews", "text.sentiment; text.topics"),
    ("Process the dataset by cleaning missing values, performing statistical analysis, and creating visualizations", "cars", f"table.clean; table.describe {CLEANED}; chart.overview {CLEANED}"),
    # clauses: and, &, then, semicolons, sentences, lists, before and after
    ("clean and describe the data", "cars", f"table.clean; table.describe {CLEANED}"),
    ("CLEAN THE DATA & DRAW A HEATMAP", "cars", f"table.clean; chart.heatmap {CLEANED}"),
    ("Clean the data. Describe it. Draw a correlation heat map.", "cars", f"table.clean; table.describe {CLEANED}; chart.heatmap {CLEANED}"),
    ("Profile the dataset; drop rows with empty cells; then visualise the dataset", "cars", f"table.profile; table.clean strategy=drop; chart.overview {CLEANED}"),
    ("1. clean the data\n2. describe it\n3. make charts", "cars", f"table.clean; table.describe {CLEANED}; chart.overview {CLEANED}"),
    ("1) clean data 2) describe 3) report", "cars", f"table.clean; table.describe {CLEANED}"),
    ("- clean the data\n- describe it", "cars", f"table.clean; table.describe {CLEANED}"),
    ("First, find the sentiment. Second, find keywords. Finally, write a report.", "reviews", "text.sentiment; text.keywords"),
    ("Describe the data after cleaning it", "cars", f"table.clean; table.describe {CLEANED}"),
    ("Clean the data before describing it", "cars", f"table.clean; table.describe {CLEANED}"),
    ("After cleaning the data, describe it", "cars", f"table.clean; table.describe {CLEANED}"),
    ("correlation heat map as well as a scatter plot of mpg vs weight", "cars", "chart.heatmap; chart.scatter x=Weight_in_lbs y=Miles_per_Gallon"),
    ("I want you to clean my data, please, and also to draw some nice plots. Thanks!", "cars", f"table.clean; chart.overview {CLEANED}"),
    # fillers and context
    ("in the customer reviews, find the topics", "reviews", "text.topics"),
    ("Using reviews.csv, count bigrams", "reviews", "text.words"),
    ("Please analyse the sentiment of our customer feedback", "reviews", "text.sentiment"),
    ("What topics do people talk about?", "reviews", "text.topics"),
    ("how positive are the reviews and what are they about?", "reviews", "text.sentiment; text.topics"),
    ("Categorise the reviews into themes & rate the mood of each message", "reviews", "text.topics; text.sentiment"),
    ("keyword and sentiment analysis of the reviews", "reviews", "text.keywords; text.sentiment"),
    ("Determine sentiment, extract keywords, summarise, and report", "reviews", "text.sentiment; text.keywords; text.summarize"),
    ("Clean the reviews and then analyze their sentiment", "reviews", f"table.clean; text.sentiment {CLEANED}"),
    ("sentimant analysis", "reviews", "text.sentiment"),
    ("find near-duplicate reviews", "reviews", "text.duplicates"),
    ("Clean -> describe -> report", "cars", f"table.clean; table.describe {CLEANED}"),
    ("Clean; analyze; visualize", "cars", f"table.clean; table.describe {CLEANED}; chart.overview {CLEANED}"),
    ("load cars.csv, clean it, analyze it and visualise it", "cars", f"table.clean; table.describe {CLEANED}; chart.overview {CLEANED}"),
    ("Analyze the data: clean it, draw a heat map", "cars", f"table.clean; chart.heatmap {CLEANED}"),
    ("Analyze the reviews, find topics and sentiment", "reviews", "text.topics; text.sentiment"),
    ("Look at the following reviews: what are they about?", "reviews", "text.topics"),
    ("Group the reviews by topic", "reviews", "text.topics"),
    ("Perform exploratory data analysis", "cars", "table.profile"),
    ("Remove rows with missing values", "cars", "table.clean strategy=drop"),
    ("Fill missing values with the median", "cars", "table.clean strategy=fill"),
    # reports
    ("write a report on the sentiment and topics of reviews.csv", "reviews", "text.sentiment; text.topics"),
    ("sentiment report", "reviews", "text.sentiment"),
    ("Clean the data and summarize it in a report", "cars", "table.clean"),
    ("summarize the data", "cars", "table.describe"),
    ("summarize the reviews in 3 sentences", "reviews", "text.summarize sentences=3"),
    ("create a summary", "reviews", "text.summarize"),
    # numbers
    ("find 5 topics in the comments", "reviews", "text.topics count=5"),
    ("Cluster the documents into eight topics", "reviews", "text.topics count=8"),
    ("extract the 15 most important keywords", "reviews", "text.keywords count=15"),
    ("find near duplicates that are 90% similar", "reviews", "text.duplicates threshold=0.9"),
    ("count phrases of up to 3 words", "reviews", "text.words longest=3"),
    ("show the distribution of Weight_in_lbs with 30 bins", "cars", "chart.histogram columns=Weight_in_lbs bins=30"),
    ("resize to 200 px", "a b", "image.resize longest_side=200"),
    ("Resize the images to 800x600 and convert them to grayscale", "a b", "image.resize width=800 height=600; image.grayscale"),
    ("shrink the photos to 640 pixels wide", "a b", "image.resize width=640"),
    ("make a contact sheet with 4 columns", "a b", "image.contact_sheet columns=4"),
    ("create thumbnails of 64 pixels & a contact sheet", "a b", "image.thumbnail size=64; image.contact_sheet"),
    ("convert to webp with quality 80", "a b", "image.convert format=webp quality=80"),
    ("top 5 keywords of every topic", "reviews", "text.keywords count=5; text.topics"),
    # choices and switches
    ("convert the jpgs to png", "c", "image.convert format=png"),
    ("make them black and white", "a b", "image.grayscale"),
    ("most common words without stop words", "reviews", "text.words stop_words=False"),
    ("total price by region", "orders", "table.group by=region values=price how=sum"),
    ("number of cars per Cylinders", "cars", "table.group by=Cylinders how=count"),
    # columns
    ("histogram of Horsepower", "cars", "chart.histogram columns=Horsepower"),
    ("Histogram of horse power and acceleration", "cars", "chart.histogram columns=Horsepower,Acceleration"),
    ("histogram of weight, acceleration and displacement", "cars", "chart.histogram columns=Weight_in_lbs,Acceleration,Displacement"),
    ("average Horsepower per Origin", "cars", "table.group by=Origin values=Horsepower how=mean"),
    ("what is the average horsepower for each origin?", "cars", "table.group by=Origin values=Horsepower how=mean"),
    ("group by Origin and sum the Displacement", "cars", "table.group by=Origin values=Displacement how=sum"),
    ("average mpg by year", "cars", "table.group by=Year values=Miles_per_Gallon how=mean"),
    ("mean and median of horsepower", "cars", "table.describe columns=Horsepower"),
    ("scatter plot of weight against acceleration", "cars", "chart.scatter x=Acceleration y=Weight_in_lbs"),
    ("plot weight against acceleration", "cars", "chart.scatter x=Acceleration y=Weight_in_lbs"),
    ("show me the relationship between horsepower and acceleration", "cars", "chart.scatter x=Horsepower y=Acceleration"),
    ("line chart of mpg over year", "cars", "chart.line x=Year y=Miles_per_Gallon"),
    ("bar chart of average horsepower by origin", "cars", "chart.bar category=Origin value=Horsepower how=mean"),
    ("histogram of Research and Development", "odd", "chart.histogram columns=Research and Development"),
    ("bar chart of q1 sales by topic", "odd", "chart.bar category=topic value=Q1 sales"),
    ("average human rating", "reviews", "table.describe columns=human_rating"),
    # several inputs
    ("Describe cars.csv and find the topics in reviews.csv", "cars reviews", "table.describe; text.topics"),
    ("describe the data", "cars reviews", "table.describe; table.describe"),
    ("join orders and customers on customer_id and describe the result", "orders customers", "table.join on=customer_id; table.describe <join/joined.csv"),
    ("join the two tables, then average price per city", "orders customers", "table.join; table.group by=city values=price how=mean <join/joined.csv"),
    ("summarize article.txt in five sentences and extract keywords", "article", "text.summarize sentences=5; text.keywords"),
    ("Analyse the cars", "cars reviews", "table.describe"),
    # texts, and nothing said of what to find in them
    ("Analyze customer reviews", "reviews", "text.sentiment; text.topics; text.keywords"),
    ("Analyze the reviews and write a report", "reviews", "text.sentiment; text.topics; text.keywords"),
    ("Analyse reviews.csv", "cars reviews", "text.sentiment; text.topics; text.keywords"),
    ("top 20 words", "reviews", "text.words count=20"),
    ("what are the 30 most frequent words?", "reviews", "text.words count=30"),
]  # fmt: skip

REFUSED: list[tuple[str, str, str]] = [
    ("", "cars", "the command is empty; say what to do"),
    (" \n\t", "cars", "the command is empty"),
    ("?!", "cars", "the command is empty"),
    ("x" * 10_001, "cars", "the command has 10,001 characters"),
    ("please", "cars", '"please" names nothing that a skill does; installed are chart.bar'),
    ("hello", "cars", 'no installed skill does "hello"'),
    ("Book a flight to Paris", "cars", 'no installed skill does "Book a flight to Paris"'),
    ("train a neural network", "cars", 'no installed skill does "train a neural network"'),
    ("train a neural network on the topics", "reviews", "no installed skill does"),
    ("translate the reviews into French", "reviews", "no installed skill does"),
    ("email me the topics", "reviews", '"email me the topics" (nearest: text.topics)'),
    ("send a report to bob@example.com", "cars", "no installed skill does"),
    ("predict the mpg of new cars", "cars", "no installed skill does"),
    ("delete all files", "cars", "no installed skill does"),
    ("rotate the images", "a", "no installed skill does"),
    ("Draw a pie chart of Origin", "cars", '"Draw a pie chart of Origin" (nearest: chart.overview'),
    ("clean the data and buy milk", "cars", 'no installed skill does "buy milk"; what can be asked for: chart.bar, '),
    ("bake me a cake", "reviews", 'no installed skill does "bake me a cake"; what can be asked for: chart.bar, '),
    ("sentiment; blargle the frobnicator; topics; fly to the moon", "reviews", 'does "blargle the frobnicator"; "fly to the moon"'),
    ("clean the data, then save it to the database", "cars", '"save it to the database"'),
    ("write a report", "cars", "asks for a report, but not of what"),
    ("analyze the sentiment", "cars", "text.sentiment, which needs a table with a column of text, and cars.csv has only Name (category)"),
    ("analyze the sentiment", "", "needs a table with a column of text; give one with --input"),
    ("analyze the sentiment", "a", "there is none among the inputs: a.png (image)"),
    ("describe the data", "article", "table.describe, which needs a table, and article.txt has only text (text)"),
    ("resize to 200 px", "cars", "image.resize, which needs images (inputs: cars.csv (table))"),
    ("make thumbnails", "", "image.thumbnail, which needs images (inputs: none)"),
    ("join the tables", "orders", "table.join, which needs two tables or more (inputs: orders.csv)"),
    ("convert the images", "a b", "does not say the format: one of png"),
    ("resize to 50%", "a b", "says 50, which image.resize has no use for"),
    ("draw a histogram of acceleration in 5000 bins", "cars", "says 5000, which chart.histogram has no use for: bins takes a whole number from 2 to 200"),
    ("histogram of Foo", "cars", "names foo, which is no column of cars.csv; its columns are Name"),
    ("average price per country", "cars", "names country, which is no column of cars.csv"),
    ("average Horsepower per orgin", "cars", "names orgin, which is no column of cars.csv; did you mean Origin?"),
    ("sentiment by id", "reviews", "names id, which text.sentiment cannot use"),
    ("summarize article.txt", "reviews", "the command names article.txt, and the inputs are reviews.csv; give the file with --input"),
    ("clean data.csv", "", "the command names data.csv, and there are no inputs"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "names", "expected"), UNDERSTOOD)
def test_a_command_is_understood(sketched: Sketched, command: str, names: str, expected: str) -> None:
    assert sketched(command, names) == expected


@pytest.mark.parametrize(("command", "names", "sentence"), REFUSED)
def test_a_command_is_refused_in_plain_words(planned: Planned, command: str, names: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        planned(command, names)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("command", "names"), [(command, names) for command, names, _ in UNDERSTOOD])
@pytest.mark.parametrize("change", [str.upper, lambda text: f"Please {text[:1].lower()}{text[1:]}!"])
def test_manners_and_capitals_change_nothing(
    sketched: Sketched, command: str, names: str, change: Callable[[str], str]
) -> None:
    if command[0] not in "1-":
        assert sketched(change(command), names) == sketched(command, names)


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("analyse the sentiment", "analyze the sentiment"),
        ("categorise them by topic", "categorize them by topic"),
        ("visualise the data", "visualize the data"),
        ("summarise the reviews", "summarize the reviews"),
    ],
)
def test_spelling_changes_nothing(sketched: Sketched, british: str, american: str) -> None:
    assert sketched(british, "reviews") == sketched(american, "reviews")
    assert sketched("make the images greyscale", "a b") == sketched("make the images grayscale", "a b")


def test_the_same_command_gives_the_same_plan(planned: Planned) -> None:
    for command, names, _ in UNDERSTOOD[:20]:
        assert planned(command, names) == planned(command, names)
