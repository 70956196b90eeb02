"""The two Rich consoles: one on standard output, one on standard error, neither reading markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TABLE_GAP = 2
"""Spaces between two columns of a table."""
PIPED_WIDTH = 160
"""Columns where there is no terminal to ask: wide enough that tables are not cut in a file."""


def create_console(*, stderr: bool = False) -> Console:
    """A console that takes text as it is: no markup, no emoji codes, no guessed highlights."""
    from rich.console import Console

    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def print_table(console: Console, table: Table) -> None:
    """Print a table whole: where the terminal is too narrow for it, its lines wrap, and nothing is left out."""
    needed = sum((column.min_width or 0) + TABLE_GAP for column in table.columns)
    console.width = max(console.width, needed)
    console.print(table)
