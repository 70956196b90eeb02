"""Whether a plan may run at once, must be asked about, or must not run: decided here, without a terminal."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from nadg.domain.errors import UserError


class Approval(enum.Enum):
    """What becomes of a plan."""

    GO = "go"
    ASK = "ask"
    NOBODY_TO_ASK = "nobody to ask"
    """A review was wanted, and there is no terminal."""
    UNCONFINED = "unconfined"
    """Code that a model wrote would run without isolation, and nobody said that it may."""


def approval_of(*, review: bool, yes: bool, interactive: bool, unconfined: bool) -> Approval:
    """`interactive`: a person sits at a terminal; `unconfined`: a model's code may run without isolation."""
    if yes or not (review or unconfined):
        return Approval.GO
    if interactive:
        return Approval.ASK
    return Approval.UNCONFINED if unconfined else Approval.NOBODY_TO_ASK


def require_approvable(approval: Approval, unconfined: Sequence[str]) -> None:
    """Raises UserError, saying how to allow it, where a plan must not run."""
    if approval is Approval.NOBODY_TO_ASK:
        raise UserError(
            "--review asks on a terminal, and there is none here; give --yes to approve the plan unseen, "
            "or look at it with `nadg plan`"
        )
    if approval is Approval.UNCONFINED:
        more = f" and {len(unconfined) - 3} more" if len(unconfined) > 3 else ""
        raise UserError(
            f"the code of {', '.join(unconfined[:3])}{more} was written by a language model and would run without "
            "isolation (sandbox tier none); give --yes to allow that, or demand a tier with --min-sandbox landlock"
        )
