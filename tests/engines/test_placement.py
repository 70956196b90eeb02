from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.engines.placement import (
    MAX_AHEAD,
    Demand,
    Place,
    attempts_ahead,
    choose,
    lack,
    qualified,
    unmet_sentence,
)

LABELS = st.sets(st.sampled_from(["gpu", "nlp", "llm:x"])).map(lambda found: tuple(sorted(found)))
NAMES = st.sets(st.sampled_from(["w0", "w1", "w2"])).map(lambda found: tuple(sorted(found)))
BLOBS = {"a": 1 << 20, "b": 1 << 10}


@st.composite
def places(draw: st.DrawFn) -> list[Place]:
    found = []
    for number in range(draw(st.integers(0, 3))):
        info = WorkerInfo(
            name=f"w{number}",
            slots=draw(st.integers(1, 4)),
            tier=draw(st.sampled_from(list(Tier))),
            labels=draw(LABELS),
            skills=dict.fromkeys(draw(st.sets(st.just("text.sentiment"))), "1"),
        )
        holds = dict.fromkeys(draw(st.sets(st.sampled_from(sorted(BLOBS)))))
        window = info.slots + draw(st.integers(0, 3))
        place = Place(url=f"u{number}", info=info, window=window, in_flight=draw(st.integers(0, 8)), holds=holds)
        found.append(place)
    return found


demands = st.builds(
    Demand,
    kind=st.just("r/s"),
    labels=LABELS,
    min_tier=st.sampled_from(list(Tier)),
    skill=st.sampled_from(["", "text.sentiment"]),
    avoid=NAMES,
    refused_by=NAMES,
)
means = st.none() | st.floats(0, 1000)


@given(places(), demands)
def test_only_who_qualifies_is_taken_and_an_avoided_one_only_where_nobody_else_does(
    all_places: list[Place], demand: Demand
) -> None:
    able = qualified(all_places, demand)
    fit = [place for place in all_places if not lack(place.info, demand)]
    assert bool(able) == bool(fit)
    assert all(not lack(place.info, demand) for place in able)
    if any(place.info.name not in demand.avoid for place in fit):
        assert all(place.info.name not in demand.avoid for place in able)


@given(places(), demands)
def test_there_is_a_sentence_exactly_where_nobody_qualifies(all_places: list[Place], demand: Demand) -> None:
    sentence = unmet_sentence([place.info for place in all_places], demand)
    assert (sentence is None) == bool(qualified(all_places, demand))


@given(places(), means)
def test_the_choice_has_room_and_nobody_with_room_has_a_lower_cost(
    all_places: list[Place], mean: float | None
) -> None:
    chosen = choose(all_places, BLOBS, mean)
    roomy = [
        place
        for place in all_places
        if place.in_flight < min(place.window, place.info.slots + attempts_ahead(mean, place.info.slots))
    ]
    if chosen is None:
        assert not roomy
        return
    assert chosen in roomy
    if any(place.in_flight < place.info.slots for place in roomy):
        assert chosen.in_flight < chosen.info.slots, "a free slot comes before everything"
    alike = [
        place for place in roomy if (place.in_flight < place.info.slots) == (chosen.in_flight < chosen.info.slots)
    ]
    to_send = {place.url: sum(size for sha, size in BLOBS.items() if sha not in place.holds) for place in alike}
    assert to_send[chosen.url] == min(to_send.values())


@given(means, st.integers(1, 64))
def test_long_or_unknown_attempts_are_not_sent_ahead_and_short_ones_boundedly(
    mean: float | None, slots: int
) -> None:
    ahead = attempts_ahead(mean, slots)
    assert 0 <= ahead <= MAX_AHEAD
    if mean is None or mean > 0.1 * slots:
        assert ahead == 0
    elif mean < 0.001:
        assert ahead == MAX_AHEAD


def test_the_sentence_names_what_each_lacks() -> None:
    infos = [
        WorkerInfo(name="plain", slots=1, tier=Tier.LANDLOCK),
        WorkerInfo(name="open", slots=1, tier=Tier.NONE, labels=("gpu",)),
    ]
    assert unmet_sentence(infos, Demand(kind="", labels=("gpu",))) == (
        "no connected worker qualifies: plain lacks the label gpu; "
        "open isolates with tier none, landlock is wanted"
    )
    assert str(unmet_sentence([], Demand(kind=""))).startswith("no worker is connected; ")
