"""How every picture looks: one style, labels that stay legible, and no state that outlives the picture."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadg.skills.wording import number, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
PRIMARY = "#3b6fb6"
POSITIVE = "#2e9e6b"
NEGATIVE = "#d1495b"
NEUTRAL = "#a3adb8"
INK = "#2b3440"
PALETTE = (
    PRIMARY,
    "#e08e2b",
    POSITIVE,
    NEGATIVE,
    "#8464b8",
    "#5f6b78",
    "#3fa7b5",
    "#c774a8",
    "#8a7a3b",
    "#9bbf5a",
)
LABEL_LENGTH = 32

_SETTINGS: Mapping[str, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a label such as "$5 to $10" is text, never a formula
    "axes.edgecolor": "#b8c0c9",
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e6eaee",
    "xtick.color": "#56616e",
    "ytick.color": "#56616e",
    "legend.frameon": False,
    "figure.titlesize": 14,
    "figure.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.12,
    "savefig.facecolor": "white",
}


@contextlib.contextmanager
def picture(
    file: str, *, width: float = 8, height: float = 4.5, rows: int = 1, columns: int = 1
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of `width` by `height` inches with its panels; at the end it is written as PNG."""
    _load_matplotlib()
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = dict(_SETTINGS)
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False)
        yield figure, list(panels.flat)
        figure.savefig(file, dpi=DPI, metadata={"Software": None})


def bars(
    axes: Axes, labels: Sequence[str], values: Sequence[float], *, colors: str | Sequence[str] = PRIMARY
) -> None:
    """Horizontal bars, the first on top, each with its number."""
    places = range(len(labels))
    drawn = axes.barh(places, values, color=colors, height=0.72)
    axes.set_yticks(places, [shortened(label, LABEL_LENGTH) for label in labels])
    axes.bar_label(drawn, [number(value) for value in values], padding=4, fontsize=9, color=INK)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    thousands(axes, "x")


def thousands(axes: Axes, *which: str) -> None:
    """Numbers at the axes as people write them, and few enough not to touch."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for name in which:
        axis = axes.xaxis if name == "x" else axes.yaxis
        axis.set_major_locator(MaxNLocator(nbins=7, min_n_ticks=3, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value, 10))))


def hide_unused(panels: Sequence[Axes], used: int) -> None:
    for axes in panels[used:]:
        axes.set_visible(False)


def _load_matplotlib() -> None:
    """Import it in a way that works where no folder but the current one can be written.

    It wants a folder for its list of fonts on import; where there is none it gets one for that moment.
    """
    if "matplotlib.font_manager" in sys.modules or _can_keep_fonts():
        return
    with tempfile.TemporaryDirectory(prefix=".fonts-", dir=".") as folder:
        before = os.environ.get("MPLCONFIGDIR")
        os.environ["MPLCONFIGDIR"] = str(Path(folder).absolute())
        try:
            import matplotlib.font_manager  # noqa: F401
        finally:
            os.environ.pop("MPLCONFIGDIR")
            if before is not None:
                os.environ["MPLCONFIGDIR"] = before


def _can_keep_fonts() -> bool:
    """Found out by writing: a sandbox refuses what the permissions of the folder would allow."""
    home = os.environ.get("MPLCONFIGDIR") or os.environ.get("XDG_CACHE_HOME") or Path.home()
    try:
        with tempfile.TemporaryFile(dir=home):
            return True
    except OSError:
        return False
