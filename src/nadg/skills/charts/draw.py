"""The drawings themselves, each onto a panel that it is given, so that skills can share them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nadg.skills.charts.style import INK, NEGATIVE, PALETTE, PRIMARY, thousands
from nadg.skills.wording import number, shortened, spaced

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLORS = 8
_MOST_BINS = 40
_NUMBERED_CELLS = 14
_MOST_POINTS = 20_000


def draw_histogram(axes: Axes, values: pd.Series, name: str, bins: int | None = None) -> None:
    """Bars of how many values fall where, with a line at the median."""
    present = values.dropna().astype("float64")
    axes.hist(present, bins=bins or _bins(present), color=PRIMARY, edgecolor="white", linewidth=0.6)
    axes.margins(y=0.14)
    median = float(present.median())
    axes.axvline(median, color=NEGATIVE, linewidth=1.6, linestyle="--")
    axes.annotate(
        f"median {number(median)}",
        (median, 1),
        xycoords=("data", "axes fraction"),
        xytext=(5 if median < _middle(present) else -5, -4),
        textcoords="offset points",
        ha="left" if median < _middle(present) else "right",
        va="top",
        fontsize=9,
        color=NEGATIVE,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
    )
    axes.set_xlabel(spaced(name))
    axes.set_ylabel("Rows")
    axes.grid(visible=False, axis="x")
    thousands(axes, "x", "y")


def draw_heatmap(figure: Figure, axes: Axes, correlations: Mapping[str, Mapping[str, float]]) -> None:
    """A square per pair of columns, red where they go against each other, blue where together."""
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("against-together", [NEGATIVE, "#f7f7f7", PRIMARY])
    values = [list(row.values()) for row in correlations.values()]
    image = axes.imshow(values, cmap=colors, vmin=-1, vmax=1)
    names = [shortened(spaced(str(name)), 22) for name in correlations]
    places = range(len(names))
    axes.set_xticks(places, names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if len(names) <= _NUMBERED_CELLS:
        for row in places:
            for column in places:
                _write_cell(axes, row, column, values[row][column])
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.set_label("Correlation (Pearson)")


def draw_scatter(axes: Axes, table: pd.DataFrame, x: str, y: str, color: str | None) -> float | None:
    """Points with a line of best fit; its correlation is returned, None where there is none."""
    import numpy as np

    both = table[[x, y]].dropna().index
    points = table.loc[both]
    every = max(1, math.ceil(len(points) / _MOST_POINTS))
    shown = points.iloc[::every]
    size = 26 if len(shown) <= 1000 else 10
    if color is None:
        axes.scatter(shown[x], shown[y], s=size, alpha=0.6, color=PRIMARY, edgecolors="white", linewidths=0.4)
    else:
        _colored_points(axes, shown, x, y, color, size)
    axes.set_xlabel(spaced(x))
    axes.set_ylabel(spaced(y))
    thousands(axes, "x", "y")
    across, upwards = points[x].to_numpy(dtype=float), points[y].to_numpy(dtype=float)
    if len(points) < 3 or np.ptp(across) == 0 or np.ptp(upwards) == 0:
        return None
    slope, start = np.polyfit(across, upwards, 1)
    ends = np.array([across.min(), across.max()])
    axes.plot(ends, slope * ends + start, color=INK, linewidth=1.4, linestyle="--", label="best fit")
    if color is not None:
        _legend(axes, color)
    return float(np.corrcoef(across, upwards)[0, 1])


def draw_lines(axes: Axes, x: str, lines: pd.DataFrame) -> None:
    """One line per column of `lines`, along its index."""
    marker = "o" if len(lines) <= 40 else None
    for name, color in zip(lines.columns, PALETTE, strict=False):
        values = lines[name].dropna()
        axes.plot(
            values.index, values, color=color, marker=marker, markersize=4, linewidth=1.8, label=spaced(str(name))
        )
    axes.set_xlabel(spaced(x))
    thousands(axes, "y")
    if lines.index.dtype.kind == "M":
        _dates(axes)
    else:
        thousands(axes, "x")
    if lines.shape[1] > 1:
        axes.legend(loc="best")
    else:
        axes.set_ylabel(spaced(str(lines.columns[0])))


def main_groups(labels: pd.Series, most: int) -> list[str]:
    """The most frequent labels, equal ones in alphabetical order."""
    counts = labels.value_counts(sort=False)
    return sorted(counts.index, key=lambda label: (-counts[label], str(label)))[:most]


def _colored_points(axes: Axes, points: pd.DataFrame, x: str, y: str, color: str, size: int) -> None:
    from nadg.skills.tables.group import group_labels

    labels = group_labels(points[color])
    kept = main_groups(labels, MOST_COLORS)
    for label, shade in zip(kept, PALETTE, strict=False):
        one = points[labels == label]
        axes.scatter(
            one[x],
            one[y],
            s=size,
            alpha=0.65,
            color=shade,
            edgecolors="white",
            linewidths=0.4,
            label=shortened(label, 24),
        )
    rest = points[~labels.isin(kept)]
    if len(rest):
        axes.scatter(rest[x], rest[y], s=size, alpha=0.5, color="#c2c8cf", linewidths=0, label="others")


def _legend(axes: Axes, title: str) -> None:
    axes.legend(title=spaced(title), loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


def _write_cell(axes: Axes, row: int, column: int, value: float) -> None:
    text = "–" if math.isnan(value) else f"{value:.2f}"
    axes.text(column, row, text, ha="center", va="center", fontsize=9, color="white" if abs(value) > 0.6 else INK)


def _dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _bins(values: pd.Series) -> Sequence[float] | int:
    """Whole numbers of a few kinds get a bar each; else the rule of Freedman and Diaconis, within bounds."""
    distinct = sorted(values.unique())
    if len(distinct) <= 20 and all(one == int(one) for one in distinct) and distinct[-1] - distinct[0] <= 30:
        return [distinct[0] - 0.5 + step for step in range(int(distinct[-1] - distinct[0]) + 2)]
    spread = float(values.quantile(0.75) - values.quantile(0.25))
    width = 2 * spread / len(values) ** (1 / 3)
    span = float(values.max() - values.min())
    return max(8, min(_MOST_BINS, math.ceil(span / width))) if width > 0 else 12


def _middle(values: pd.Series) -> float:
    return float(values.max() + values.min()) / 2
