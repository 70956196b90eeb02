from __future__ import annotations

from nadg.worker.terms import Terms


def test_an_older_term_changes_nothing_and_an_equal_one_is_the_same_masters() -> None:
    terms = Terms(set)
    assert [terms.accept("r", term) for term in (2, 1, 2, 3, 2)] == [True, False, True, True, False]
    assert terms.accept("other", 1)


def test_what_is_not_held_is_forgotten_in_the_end_and_what_is_held_never() -> None:
    terms = Terms(lambda: {"held"}, kept=10)
    terms.accept("held", 5)
    for number in range(1000):
        terms.accept(f"r{number}", 5)
    assert len(terms) <= 10
    assert not terms.accept("held", 4)
    assert not terms.accept("r999", 4)
    assert terms.accept("r0", 1)
