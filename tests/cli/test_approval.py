"""Who may let a plan run: the whole table, and what is said where nobody may."""

from __future__ import annotations

import itertools

import pytest

from nadg.cli.approval import Approval, approval_of, require_approvable
from nadg.domain.errors import UserError

TABLE = {
    # review, yes, interactive, unconfined
    (False, False, False, False): Approval.GO,
    (False, False, True, False): Approval.GO,
    (True, False, True, False): Approval.ASK,
    (True, False, False, False): Approval.NOBODY_TO_ASK,
    (False, False, True, True): Approval.ASK,
    (False, False, False, True): Approval.UNCONFINED,
    (True, False, True, True): Approval.ASK,
    (True, False, False, True): Approval.UNCONFINED,
    **{(review, True, *rest): Approval.GO for review, *rest in itertools.product((False, True), repeat=3)},
}


@pytest.mark.parametrize("case", list(itertools.product((False, True), repeat=4)), ids=str)
def test_every_case_is_in_the_table(case: tuple[bool, bool, bool, bool]) -> None:
    review, yes, interactive, unconfined = case
    found = approval_of(review=review, yes=yes, interactive=interactive, unconfined=unconfined)
    assert found is TABLE[case]


def test_a_review_without_a_terminal_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"--review asks on a terminal.*--yes"):
        require_approvable(Approval.NOBODY_TO_ASK, ())


def test_code_without_isolation_says_whose_and_how_to_allow_it() -> None:
    with pytest.raises(UserError) as caught:
        require_approvable(Approval.UNCONFINED, ("a", "b", "c", "d", "e"))
    text = str(caught.value)
    assert text.startswith("the code of a, b, c and 2 more was written by a language model")
    assert "--yes" in text
    assert "--min-sandbox landlock" in text


@pytest.mark.parametrize("approval", [Approval.GO, Approval.ASK])
def test_the_rest_passes(approval: Approval) -> None:
    require_approvable(approval, ("a",))
