"""The errors a user or a caller may meet.

NadgError
├── UserError            the request is wrong; one clear sentence; exit code 2 or HTTP 4xx
│   └── PlanInvalid      a plan with one or more problems, all of them reported
├── ModelError           a language model gave nothing of use
│   ├── ModelUnavailable    its provider is down, out of reach or silent; the same may work later
│   ├── ModelRefused        the request can never work: a bad key, an unknown model; also a UserError
│   ├── ContentBlocked      the provider refuses this text, or would not go on with its answer
│   ├── AnswerUnfit         cut off, or not of the shape that was asked for, even when asked again
│   │   └── PlanningFailed      no valid plan, even when told what was wrong; also a PlanInvalid
│   └── BudgetSpent         the run's budget has no room for another request
├── NotFound             a named run, worker or blob does not exist
├── LeaseLost            another master owns the run now; this one must stop working on it
├── IllegalTransition    a bug: a state was asked to make a move its table does not list
├── BlobRefused          bytes that do not hash to the name they came under
├── LinkLost             a link ended while something was under way on it
├── StoreUnavailable     the database failed: disk full, out of reach; a write is kept whole or not at all
├── LinkRefused          the other end of a link speaks another version or sent a bad frame
└── SandboxUnavailable   the wanted protection cannot be applied on this host
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nadg.domain.problems import Problem


class NadgError(Exception):
    """Base of everything NADG raises on purpose."""


class UserError(NadgError):
    """The request is wrong; `str(error)` is one sentence that names the field, the value and the mend."""


class PlanInvalid(UserError):
    """A plan that cannot run; `problems` lists every reason, each with its place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class ModelError(NadgError):
    """A language model gave nothing of use; the message names the model and says what to do."""


class ModelUnavailable(ModelError):
    """The provider is down, out of reach or silent, after all tries and fallbacks."""


class ModelRefused(ModelError, UserError):
    """The provider will never answer this: a bad key, an unknown model, a request that it does not take."""


class ContentBlocked(ModelError):
    """A content filter stopped the request or its answer."""


class AnswerUnfit(ModelError):
    """The answer was cut off at its longest, or never had the shape that was asked for."""


WAYS_OUT = "name another model (--model), give a plan file (--plan) or plan without a model (--planner builtin)"
"""What to do about a model that writes no plan."""


class PlanningFailed(AnswerUnfit, PlanInvalid):
    """A model wrote no valid plan, even when told what was wrong; `problems` lists what its last one had."""

    def __init__(self, model: str, answers: int, problems: Sequence[Problem]) -> None:
        PlanInvalid.__init__(self, problems)
        self.model, self.answers = model, answers
        first = f"{problems[0]}" if problems else "nothing was said of it"
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        self.args = (f"{model} wrote no plan that can run in {answers} answers ({first}{more}); {WAYS_OUT}",)


class BudgetSpent(ModelError):
    """The run's budget does not allow another request; what is done stays done."""


class NotFound(NadgError):
    """A named thing does not exist; the message says which and where to look."""


def no_run(run_id: str) -> NotFound:
    """No run's id is that, or starts so."""
    return NotFound(f"no run {run_id}; see `nadg runs list`")


class LeaseLost(NadgError):
    """A write was refused because another master holds the run by a newer term."""


class IllegalTransition(NadgError):
    """A state machine was asked for a move that its table does not list."""


class BlobRefused(NadgError):
    """Content did not match its SHA-256 name or its announced size."""


class LinkLost(NadgError):
    """A link ended, by either end or by the network; the message says what is known of why."""


class StoreUnavailable(NadgError):
    """The database could not be read or written now; what it was asked for was not done, not even in part.

    Only where the connection broke while a transaction was made final, nobody knows whether it was.
    """


class LinkRefused(NadgError):
    """A link was closed because the peer broke the protocol; the message says how."""


class SandboxUnavailable(NadgError):
    """The demanded sandbox tier cannot be enforced on this host; the message says why and what would help."""
