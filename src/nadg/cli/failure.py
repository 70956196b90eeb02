"""From an exception to what a user reads and the exit code a script sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nadg.cli.render.safe import printable
from nadg.domain.errors import WAYS_OUT, NadgError, NotFound, PlanInvalid, PlanningFailed, UserError

FAILED = 1
BAD_REQUEST = 2
INTERRUPTED = 130
NOTHING_RUN = "Cancelled; nothing was run."
SHOWN_PROBLEMS = 20
"""Of a plan that nobody will mend by hand."""


class StoppedAtOnce(Exception):
    """A second Ctrl-C: the user does not wait for a clean end. Its text, if any, says what becomes of the run."""


class NothingRun(StoppedAtOnce):
    """Ctrl-C before there was a run."""


@contextmanager
def before_a_run() -> Iterator[None]:
    """Ctrl-C while inside means that nothing was run."""
    try:
        yield
    except KeyboardInterrupt:
        raise NothingRun from None


def exit_code_of(error: BaseException) -> int:
    """2 for a request that cannot be carried out as asked, 130 for Ctrl-C, 1 for all else that went wrong."""
    if isinstance(error, PlanningFailed):
        return FAILED
    if isinstance(error, (UserError, NotFound)) or _is_usage_error(error):
        return BAD_REQUEST
    return INTERRUPTED if isinstance(error, StoppedAtOnce) else FAILED


def sentence_of(error: BaseException) -> str:
    """What went wrong and, where it is known, what to do; safe to print, no traceback.

    A plan with several problems gives one line for each.
    """
    if isinstance(error, PlanInvalid) and len(error.problems) > 1:
        return _problems_listed(error)
    if isinstance(error, StoppedAtOnce):
        return str(error) or "stopped at once; `nadg runs list` shows what was done"
    if isinstance(error, NadgError):
        return printable(str(error), keep_lines=False)
    if _is_usage_error(error):
        return printable(_usage_sentence(error), keep_lines=False)
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return printable(f"the system refused: {error.strerror}{where}", keep_lines=False)
    what = printable(f"{type(error).__name__}: {error}".rstrip(": "), keep_lines=False)
    return f"something went wrong inside NADG ({what}); run the command again with --debug to see where"


def _problems_listed(error: PlanInvalid) -> str:
    """All of them where a person wrote the plan; of a model's the first ones, and what to do."""
    lines = [f"  {printable(str(one), keep_lines=False)}" for one in error.problems]
    if not isinstance(error, PlanningFailed):
        return "\n".join([f"the plan has {len(lines)} problems:", *lines])
    shown = lines[:SHOWN_PROBLEMS]
    more = [f"  and {len(lines) - len(shown):,} more"] if len(lines) > len(shown) else []
    head = f"{printable(error.model, keep_lines=False)} wrote no plan that can run in {error.answers} answers; "
    return "\n".join([f"{head}its last one has {len(lines):,} problems:", *shown, *more, f"  {WAYS_OUT}"])


def first_cause(error: BaseException) -> BaseException:
    """The one error to tell of a group: the first that was raised on purpose, else the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [first_cause(one) for one in error.exceptions]
    return next((one for one in causes if isinstance(one, NadgError)), causes[0])


def _is_usage_error(error: BaseException) -> bool:
    from typer.exceptions import TyperException

    return isinstance(error, TyperException)


def _usage_sentence(error: BaseException) -> str:
    """Typer's own words, without the name of an exception inside, ending with where to read more."""
    message = getattr(error, "format_message", lambda: str(error))().replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nadg"
    return f"{message.rstrip('.')}; see `{path} --help`"
