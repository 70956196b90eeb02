"""`nadg up`: local workers that stay."""

from __future__ import annotations

import asyncio

from nadg.cli.commands.arguments import UpWorkersOption


def up(workers: UpWorkersOption = None) -> None:
    """Start local workers and keep them until Ctrl-C.

    Every `nadg run` meanwhile uses them instead of starting its own.
    """
    from nadg.cli.configuration import read_settings
    from nadg.cli.grid import keep_grid

    asyncio.run(keep_grid(read_settings(), workers))
