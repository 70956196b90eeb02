"""Where progress is shown: a live table on a terminal, plain lines elsewhere, or nowhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from nadg.cli.progress import RunProgress, SubtaskProgress
from nadg.cli.render import progress as rendered
from nadg.domain.states import SubtaskState

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

STILL_SECONDS = 10.0
"""How often plain lines say that a run is still going."""


class Screen(Protocol):
    """What a watcher tells of a run. `tick` comes a few times a second."""

    def begun(self, subtask: SubtaskProgress) -> None:
        """The shards of a subtask are known."""
        ...

    def ended(self, subtask: SubtaskProgress) -> None:
        """A subtask is over."""
        ...

    def say(self, line: str) -> None:
        """One line, safe to print, above whatever else is shown."""
        ...

    def tick(self, progress: RunProgress | None, workers_total: int) -> None:
        """Time goes by; there is no progress while the workers are being made ready."""
        ...

    def close(self) -> None:
        """Leave what is shown standing and let go of the terminal; harmless when called twice."""
        ...


class SilentScreen:
    """Shows nothing: `--quiet`."""

    def begun(self, subtask: SubtaskProgress) -> None:
        pass

    def ended(self, subtask: SubtaskProgress) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def tick(self, progress: RunProgress | None, workers_total: int) -> None:
        pass

    def close(self) -> None:
        pass


class LineScreen:
    """A line when a subtask begins, a line when it ends, and a sign of life in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_line = time.monotonic()

    def begun(self, subtask: SubtaskProgress) -> None:
        self.say(rendered.started_line(subtask))

    def ended(self, subtask: SubtaskProgress) -> None:
        self.say(rendered.ended_line(subtask, time.monotonic()))

    def say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)
        self._last_line = time.monotonic()

    def tick(self, progress: RunProgress | None, workers_total: int) -> None:
        now = time.monotonic()
        if progress is not None and now - self._last_line >= STILL_SECONDS:
            self.say(rendered.still_line(progress, now))

    def close(self) -> None:
        pass


class LiveScreen:
    """A table that is redrawn in place; lines scroll by above it."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def begun(self, subtask: SubtaskProgress) -> None:
        pass

    def ended(self, subtask: SubtaskProgress) -> None:
        if subtask.state is SubtaskState.FAILED:
            self.say(rendered.ended_line(subtask, time.monotonic()))

    def say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)

    def tick(self, progress: RunProgress | None, workers_total: int) -> None:
        if not self._live.is_started:
            self._live.start()
        shown: RenderableType = rendered.STARTING
        if progress is not None:
            now, width = time.monotonic(), self._console.width
            shown = rendered.progress_table(progress, now, workers_total, width=width)
        self._live.update(shown, refresh=True)

    def close(self) -> None:
        self._live.stop()


class GuardedScreen:
    """A screen that falls silent when its terminal or pipe goes away: showing a run must never end it."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def begun(self, subtask: SubtaskProgress) -> None:
        with self._guarded():
            self.screen.begun(subtask)

    def ended(self, subtask: SubtaskProgress) -> None:
        with self._guarded():
            self.screen.ended(subtask)

    def say(self, line: str) -> None:
        with self._guarded():
            self.screen.say(line)

    def tick(self, progress: RunProgress | None, workers_total: int) -> None:
        with self._guarded():
            self.screen.tick(progress, workers_total)

    def close(self) -> None:
        with self._guarded():
            self.screen.close()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.screen = SilentScreen()


def create_screen(console: Console, *, quiet: bool) -> GuardedScreen:
    """The screen that fits where this console writes to."""
    if quiet:
        return GuardedScreen(SilentScreen())
    return GuardedScreen(LiveScreen(console) if console.is_terminal else LineScreen(console))
