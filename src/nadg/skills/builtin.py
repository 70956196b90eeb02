"""The skills that come with NADG; registered by entry point like anybody's."""

from __future__ import annotations

from nadg.skills.charts.bar import bar
from nadg.skills.charts.heatmap import heatmap
from nadg.skills.charts.histogram import histogram
from nadg.skills.charts.line import line
from nadg.skills.charts.overview import overview
from nadg.skills.charts.scatter import scatter
from nadg.skills.images.contact_sheet import contact_sheet
from nadg.skills.images.convert import convert
from nadg.skills.images.grayscale import grayscale
from nadg.skills.images.resize import resize
from nadg.skills.images.thumbnail import thumbnail
from nadg.skills.report.compose import compose
from nadg.skills.tables.clean import clean
from nadg.skills.tables.describe import describe
from nadg.skills.tables.group import group
from nadg.skills.tables.join import join
from nadg.skills.tables.profile import profile
from nadg.skills.text.duplicates import duplicates
from nadg.skills.text.keywords import keywords
from nadg.skills.text.sentiment import sentiment
from nadg.skills.text.summarize import summarize
from nadg.skills.text.topics import topics
from nadg.skills.text.words import words

__all__ = [
    "bar",
    "clean",
    "compose",
    "contact_sheet",
    "convert",
    "describe",
    "duplicates",
    "grayscale",
    "group",
    "heatmap",
    "histogram",
    "join",
    "keywords",
    "line",
    "overview",
    "profile",
    "resize",
    "scatter",
    "sentiment",
    "summarize",
    "thumbnail",
    "topics",
    "words",
]
