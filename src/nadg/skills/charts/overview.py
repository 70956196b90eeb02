"""A set of charts that suits a table nobody has looked at yet."""

from __future__ import annotations

from collections.abc import Callable

from nadg.domain.errors import UserError
from nadg.skills.api import Finding, Picture, Table, skill
from nadg.skills.charts.draw import MOST_COLORS
from nadg.skills.charts.heatmap import MOST_COLUMNS, write_heatmap
from nadg.skills.charts.histogram import MOST_PANELS, write_histograms
from nadg.skills.charts.line import MOST_LINES, line_points, write_lines
from nadg.skills.charts.scatter import closest_pair, write_scatter
from nadg.skills.charts.style import bars, picture
from nadg.skills.columns import number_columns
from nadg.skills.tables.group import aggregated
from nadg.skills.wording import counted, listed, spaced

_MOST_CATEGORIES = 15
_MOST_CATEGORY_PANELS = 3


@skill(
    "chart.overview",
    synonyms=(
        "visualization",
        "visualizations",
        "visualisation",
        "visualisations",
        "visualize",
        "visualise",
        "charts",
        "chart",
        "plots",
        "plot the data",
        "graphs",
        "figures",
        "diagrams",
        "pictures of the data",
        "draw",
    ),
    examples=(
        "creating visualizations",
        "create charts of the data",
        "visualise the dataset",
        "make some plots",
        "draw graphs",
    ),
)
def overview(table: Table) -> Finding:
    """Draw a set of charts that suits the table: histograms, heat map, closest pair, categories.

    Only what the table has is drawn: `histograms.png`, `heatmap.png` and `scatter.png` of its numbers,
    `categories.png` of its repeated words, `over_time.png` where it has dates.
    """
    drawings: tuple[Callable[[Table], Picture | None], ...] = (
        _histograms,
        _categories,
        _over_time,
        _heatmap,
        _pair,
    )
    pictures = [drawn for draw in drawings if (drawn := draw(table)) is not None]
    if not pictures:
        raise UserError(
            "chart.overview: the table has neither numbers nor repeated words to draw; give one that has"
        )
    numbers, categories = number_columns(table), category_columns(table)
    return Finding(
        title="Charts",
        headline=f"{counted(len(pictures), 'picture')} of {counted(len(table), 'row')}: "
        f"{counted(len(numbers), 'number column')} and {counted(len(categories), 'category column')}.",
        pictures=pictures,
        data={"number_columns": numbers, "category_columns": categories},
    )


def category_columns(table: Table) -> list[str]:
    """Columns of words that repeat: few enough different ones to tell apart in a chart."""
    words = [str(name) for name in table.columns if table[name].dtype.kind not in "iufM"]
    return [name for name in words if 2 <= table[name].nunique() <= min(_MOST_CATEGORIES, max(2, len(table) // 2))]


def _histograms(table: Table) -> Picture | None:
    chosen = number_columns(table)[:MOST_PANELS]
    if not chosen:
        return None
    write_histograms("histograms.png", table, chosen)
    return Picture(file="histograms.png", caption=f"How the values of {listed(chosen)} are spread")


def _heatmap(table: Table) -> Picture | None:
    chosen = number_columns(table)[:MOST_COLUMNS]
    if len(chosen) < 2:
        return None
    write_heatmap("heatmap.png", table, chosen)
    return Picture(file="heatmap.png", caption="Correlations between the number columns")


def _pair(table: Table) -> Picture | None:
    pair = closest_pair(table)
    if pair is None:
        return None
    x, y = pair
    color = next((name for name in category_columns(table) if table[name].nunique() <= MOST_COLORS), None)
    correlation = write_scatter("scatter.png", table, x, y, color)
    stated = f" (r = {correlation:.2f})" if correlation is not None else ""
    return Picture(file="scatter.png", caption=f"A strongly related pair: {spaced(y)} against {spaced(x)}{stated}")


def _categories(table: Table) -> Picture | None:
    chosen = category_columns(table)[:_MOST_CATEGORY_PANELS]
    if not chosen:
        return None
    counts = {name: aggregated(table, name, [], "count") for name in chosen}
    longest = max(len(one) for one in counts.values())
    width = 8 if len(chosen) == 1 else 5 * len(chosen)
    with picture("categories.png", width=width, height=1.5 + 0.34 * longest, columns=len(chosen)) as (_, panels):
        for axes, (name, count) in zip(panels, counts.items(), strict=True):
            bars(axes, list(count[name].astype(str)), [float(one) for one in count["rows"]])
            axes.set_title(f"Rows per {spaced(name)}")
            axes.set_xlabel("Rows")
    return Picture(file="categories.png", caption=f"Rows per {listed([spaced(name) for name in chosen])}")


def _over_time(table: Table) -> Picture | None:
    dates = [str(name) for name in table.columns if table[name].dtype.kind == "M" and table[name].nunique() > 2]
    upwards = number_columns(table)[:MOST_LINES]
    if not dates or not upwards:
        return None
    write_lines("over_time.png", dates[0], line_points(table, dates[0], upwards))
    return Picture(file="over_time.png", caption=f"Averages of {listed(upwards)} along {spaced(dates[0])}")
