"""`nadg up`: a master that stays, with local workers."""

from __future__ import annotations

import asyncio

from nadg.cli.commands.arguments import UpWorkersOption


def up(workers: UpWorkersOption = None) -> None:
    """Start local workers and a master, and keep them until Ctrl-C.

    Every `nadg run` meanwhile uses these workers instead of starting its own. Where NADG_MASTER_URL names
    the master, it carries the runs out, too. It goes on with runs whose own master is gone.
    """
    from nadg.cli.configuration import read_settings
    from nadg.cli.grid import keep_grid
    from nadg.cli.log import shown_log

    settings = read_settings()
    with shown_log(settings.log_level):
        asyncio.run(keep_grid(settings, workers))
