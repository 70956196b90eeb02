"""The scripted door keeps to what a door promises."""

from __future__ import annotations

import asyncio

import pytest

from nadg.domain.errors import ModelUnavailable
from nadg.models.call import ModelCall, Reply, Turn
from nadg.models.fake_door import FAKE_MODEL, FakeDoor
from tests.support.kept_account import KeptAccount

CALL = ModelCall(purpose="prompt", turns=(Turn(role="user", text="hello"),))


class Heard:
    """A TextSink that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def text(self, piece: str) -> None:
        self.told.append(piece)

    def restart(self) -> None:
        self.told.append("RESTART")


def ask(door: FakeDoor, heard: Heard | None = None) -> Reply:
    return asyncio.run(door.ask(CALL, KeptAccount(), heard))


def test_answers_come_in_order_and_in_pieces() -> None:
    door, heard = FakeDoor(["abcde", lambda call: call.turns[0].text], piece=2), Heard()
    assert ask(door, heard).text == "abcde"
    assert heard.told == ["ab", "cd", "e"]
    assert ask(door).text == "hello"
    assert door.calls == [CALL, CALL]
    assert door.remaining == 0


def test_an_answer_may_break_off_and_begin_anew() -> None:
    heard = Heard()
    reply = ask(FakeDoor([("ab", "xyz")], piece=9), heard)
    assert (reply.text, reply.model) == ("xyz", FAKE_MODEL)
    assert heard.told == ["ab", "RESTART", "xyz"]
    assert reply.usage.requests == 1


def test_an_exception_is_raised_and_an_empty_script_is_a_bug() -> None:
    door = FakeDoor([ModelUnavailable("down")])
    with pytest.raises(ModelUnavailable, match="down"):
        ask(door)
    with pytest.raises(AssertionError, match="no answer left for call 2"):
        ask(door)


def test_it_serves_the_models_it_was_given() -> None:
    assert FakeDoor([]).serves(FAKE_MODEL)
    assert not FakeDoor([], models=["a:b"]).serves(FAKE_MODEL)
