"""The entry point `nadg`: one place where every error becomes one sentence and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from nadg.cli.failure import (
    INTERRUPTED,
    NOTHING_RUN,
    NothingRun,
    before_a_run,
    exit_code_of,
    first_cause,
    sentence_of,
)


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    sys.exit(run_command_line(sys.argv[1:]))


def run_command_line(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit code; nothing but SystemExit is raised.

    0: done; 1: it failed; 2: the request was wrong; 130: interrupted. `--debug`, wherever it stands
    before a bare `--`, lets the traceback through.
    """
    for stream in (sys.stdout, sys.stderr):
        _tolerate_unprintable(stream)
    debug, rest = _take_debug(arguments)
    try:
        return _invoke(rest)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return 1
    except Exception as error:  # noqa: BLE001 - the root of the command line: everything ends here
        if debug:
            import traceback

            traceback.print_exception(error)
        cause = first_cause(error)
        said = NOTHING_RUN if isinstance(cause, NothingRun) else f"nadg: {sentence_of(cause)}"
        print(said, file=sys.stderr)
        return exit_code_of(cause)


def _invoke(arguments: list[str]) -> int:
    with before_a_run():
        import typer

        from nadg.cli.app import create_app

        command = typer.main.get_command(create_app())
    outcome = command(args=arguments or ["--help"], prog_name="nadg", standalone_mode=False)
    return outcome if isinstance(outcome, int) else 0


def _take_debug(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether `--debug` was given anywhere before `--`, and the arguments without it."""
    stop = list(arguments).index("--") if "--" in arguments else len(arguments)
    options, rest = list(arguments[:stop]), list(arguments[stop:])
    kept = [one for one in options if one != "--debug"]
    return len(kept) < len(options), kept + rest


def _tolerate_unprintable(stream: TextIO) -> None:
    """Show `?` for a character that the terminal's encoding lacks, rather than fail on it."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _silence_stdout() -> None:
    """The reader of our output went away: send the rest nowhere, so that exit does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
