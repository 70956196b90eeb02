"""Limits: a worker's policy can only make them smaller."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg.domain.limits import Limits

ANY_LIMITS = st.builds(
    Limits,
    wall_seconds=st.floats(0.1, 86_400),
    cpu_seconds=st.floats(0.1, 86_400),
    memory_megabytes=st.integers(64, 1_048_576),
    output_bytes=st.integers(0, 1 << 30),
    threads=st.integers(1, 4096),
)


def test_limits_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits().wall_seconds = 1  # type: ignore[misc]  # that it is refused is the point


@given(ANY_LIMITS, ANY_LIMITS)
def test_a_cap_never_raises_a_limit(ours: Limits, cap: Limits) -> None:
    capped = asdict(ours.capped_by(cap))
    for name in capped:
        assert capped[name] == min(asdict(ours)[name], asdict(cap)[name])


@given(ANY_LIMITS, ANY_LIMITS, ANY_LIMITS)
def test_caps_can_be_applied_in_any_order(ours: Limits, one: Limits, other: Limits) -> None:
    assert ours.capped_by(one).capped_by(other) == ours.capped_by(other).capped_by(one)
    assert ours.capped_by(ours) == ours


def test_every_limit_has_a_default() -> None:
    assert {field.name for field in fields(Limits)} == set(asdict(Limits()))
