"""What `nadg up` shows: its workers as they come, go and come back, until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nadg.cli.console import create_console
from nadg.cli.interrupt import Interruption
from nadg.cli.render.safe import printable
from nadg.cli.render.tables import LinkedWorker, grid_table
from nadg.cli.render.units import counted

if TYPE_CHECKING:
    from rich.console import Console

    from nadg.settings import Settings


class UpScreen:
    """A table that is redrawn on a terminal; elsewhere a line when a worker's state changes."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._console = console
        self._states: dict[str, str] = {}

    def workers(self, views: Sequence[LinkedWorker]) -> None:
        states = {view.url: str(view.state) for view in views}
        if self._console.is_terminal:
            self._live.start()
            self._live.update(grid_table(views), refresh=True)
        else:
            for url, state in states.items():
                if self._states.get(url, state) != state:
                    self._console.print(f"{url} is {state}", soft_wrap=True)
        self._states = states

    def ready(self, count: int, url: str) -> None:
        """On a terminal what standard output gets goes above the table, too, which would be written over it."""
        lines = (
            f"ready: {counted(count, 'worker')}; every `nadg run` uses them; Ctrl-C stops them",
            f"master: {url} (runs that outlive their terminal: set NADG_MASTER_URL to this)",
        )
        for line in lines:
            if self._console.is_terminal and sys.stdout.isatty():
                self.notice(line)
            else:
                print(line, flush=True)

    def notice(self, text: str) -> None:
        self._console.print(printable(text, keep_lines=False), soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


async def keep_grid(settings: Settings, workers: int | None) -> None:
    """A master with local workers, for every run on this machine, until Ctrl-C."""
    from nadg.bootstrap.up import serve_up

    screen, interruption = UpScreen(create_console(stderr=True)), Interruption()

    def stop_at_once() -> None:
        """As `kill -9` would: the workers find it out, hand over what they have, and end by themselves."""
        screen.close()
        print("Stopped at once; the local workers end by themselves.", file=sys.stderr, flush=True)
        signal.signal(interruption.signal, signal.SIG_DFL)
        os.kill(os.getpid(), interruption.signal)

    try:
        with interruption.listening(stop_at_once):
            wanted = settings.workers if workers is None else workers
            await serve_up(settings, wanted, interruption.asked, screen.ready, screen)
    finally:
        screen.close()
    print("Stopped.", file=sys.stderr)
