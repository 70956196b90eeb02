from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nadg.engines.health import FIRST_SECONDS, LAST_ENDS, MOST_SECONDS, Health

WORKERS = ("a", "b", "c")


def failing(health: Health, worker: str, *shards: str, now: float = 0.0) -> None:
    for shard in shards:
        health.fault(worker, [shard], f"{shard} crashed")
        health.judge(now)


def until(health: Health, worker: str) -> float | None:
    quarantine = health.quarantine(worker)
    return quarantine.until if quarantine else None


def test_three_faults_in_a_row_set_a_worker_aside_and_the_reason_says_so() -> None:
    health = Health()
    failing(health, "a", "1", "2")
    assert until(health, "a") is None
    failing(health, "a", "3", now=5.0)
    quarantine = health.quarantine("a")
    assert quarantine is not None
    assert quarantine.until == health.next_end() == 5.0 + FIRST_SECONDS
    assert quarantine.why == "failed 3 times in a row by its own fault: 3 crashed"


def test_good_work_between_keeps_it_in_use_until_half_of_the_last_ten_failed() -> None:
    health = Health()
    for number in range(4):
        failing(health, "a", str(number))
        health.good("a", f"good {number}")
    health.judge(0.0)
    assert until(health, "a") is None
    failing(health, "a", "one more")
    quarantine = health.quarantine("a")
    assert quarantine is not None
    assert quarantine.why == "failed 5 of the last 9 times by its own fault: one more crashed"


def test_each_time_is_twice_as_long_up_to_ten_minutes_and_one_good_end_ends_the_trial() -> None:
    health, now, lengths = Health(), 0.0, []
    failing(health, "a", "1", "2", "3")
    for number in range(8):
        end = health.next_end()
        assert end is not None
        lengths.append(end - now)
        assert not health.judge(end - 0.1)
        assert not health.on_trial("a")
        assert health.judge(end)
        assert health.on_trial("a")
        assert until(health, "a") is None
        now = end
        failing(health, "a", f"trial {number}", now=now)
        assert not health.on_trial("a")
    assert lengths == [10, 20, 40, 80, 160, 320, MOST_SECONDS, MOST_SECONDS]
    assert health.judge(now + MOST_SECONDS)
    health.good("a", "well")
    assert not health.on_trial("a")
    failing(health, "a", "x", "y", now=now)
    assert until(health, "a") is None, "what was before the trial is forgotten"
    failing(health, "a", "z", now=now)
    assert until(health, "a") == now + MOST_SECONDS, "one good end does not make it young again"


def test_ten_good_ends_make_it_as_good_as_new() -> None:
    health = Health()
    failing(health, "a", "1", "2", "3")
    health.judge(FIRST_SECONDS)
    for number in range(LAST_ENDS):
        health.good("a", f"good {number}")
    failing(health, "a", "4", "5", "6", now=100.0)
    assert until(health, "a") == 100.0 + FIRST_SECONDS


def test_many_attempts_that_fail_at_once_count_for_one_quarantine() -> None:
    health = Health()
    failing(health, "a", *(str(number) for number in range(64)))
    assert until(health, "a") == FIRST_SECONDS
    health.good("a", "it began before")
    failing(health, "a", "late", now=1.0)
    assert until(health, "a") == FIRST_SECONDS


def test_what_began_before_a_quarantine_does_not_end_the_trial() -> None:
    health = Health()
    failing(health, "a", "1", "2", "3")
    health.judge(10.0)
    failing(health, "a", "4", now=10.0)
    health.good("a", "it began long ago")
    health.judge(30.0)
    assert health.on_trial("a")


def test_the_same_shard_counts_once_against_the_same_worker() -> None:
    health = Health()
    failing(health, "a", *["poison"] * 20)
    assert until(health, "a") is None


def test_poison_that_fails_everywhere_sets_nobody_aside() -> None:
    health = Health()
    for shard in ("p1", "p2", "p3", "p4"):
        for worker in WORKERS:
            failing(health, worker, shard)
    assert [until(health, worker) for worker in WORKERS] == [None] * 3


def test_a_quarantine_ends_when_its_faults_turn_out_to_be_the_shards() -> None:
    health = Health()
    failing(health, "a", "p1", "p2", "p3")
    assert until(health, "a") == FIRST_SECONDS
    health.fault("b", ["p1"], "crashed too")
    assert health.judge(1.0)
    assert (until(health, "a"), until(health, "b"), health.on_trial("a")) == (None, None, False)


def test_a_shard_that_ends_well_at_last_was_not_the_poison() -> None:
    health = Health()
    for shard in ("1", "2", "3"):
        failing(health, "a", shard)
        failing(health, "b", shard)
    assert (until(health, "a"), until(health, "b")) == (None, None)
    for shard in ("1", "2", "3"):
        health.good("c", shard)
    health.judge(0.0)
    assert (until(health, "a"), until(health, "b"), until(health, "c")) == (FIRST_SECONDS, FIRST_SECONDS, None)


def test_a_death_with_many_attempts_is_one_fault() -> None:
    health = Health()
    for number in range(3):
        assert until(health, "a") is None
        health.fault("a", [f"{number}/{shard}" for shard in range(50)], "its process ended")
        health.judge(0.0)
    assert until(health, "a") == FIRST_SECONDS


Happening = tuple[str, str, str, float]
happenings = st.lists(
    st.tuples(
        st.sampled_from(["good", "fault", "fault"]),
        st.sampled_from(WORKERS),
        st.sampled_from([f"s{number}" for number in range(8)]),
        st.sampled_from([0.0, 0.5, 11.0, 300.0]),
    ),
    max_size=80,
)


@given(happenings)
def test_whatever_happens_quarantines_are_deserved_and_end(happenings: list[Happening]) -> None:
    health, now = Health(), 0.0
    faulty: dict[str, set[str]] = {}
    for kind, worker, shard, seconds in happenings:
        if kind == "good":
            health.good(worker, shard)
        else:
            health.fault(worker, [shard], "it crashed")
            faulty.setdefault(worker, set()).add(shard)
        now += seconds
        health.judge(now)
        for name in WORKERS:
            quarantine = health.quarantine(name)
            assert quarantine is None or now < quarantine.until <= now + MOST_SECONDS
            assert quarantine is None or faulty.get(name)
            assert not (health.on_trial(name) and quarantine)
        assert not health.judge(now), "judged twice is judged once"
    health.judge(now + MOST_SECONDS)
    assert health.next_end() is None


@given(st.lists(st.tuples(st.sampled_from(WORKERS), st.booleans()), max_size=60))
def test_shards_that_fail_on_every_worker_leave_the_grid_in_use(attempts: list[tuple[str, bool]]) -> None:
    health = Health()
    for number, (first, well) in enumerate(attempts):
        if well:
            health.good(first, f"fine {number}")
            continue
        for worker in (first, *(name for name in WORKERS if name != first)):
            failing(health, worker, f"poison {number}")
    assert [until(health, worker) for worker in WORKERS] == [None] * 3
