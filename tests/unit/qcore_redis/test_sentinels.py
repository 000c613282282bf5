"""Whom sentinels name, and when they are asked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from qcore.backend import Setup
from qcore.clock import SystemClock
from qcore.consume.opening import opening
from qcore_redis.faults import NotSent, Refused, SocketLost
from qcore_redis.nodes import Node
from qcore_redis.ports.sentinels import Sentinels

URL = "redis+list+sentinel://me:mine@s1:1,s2:2/jobs?sentinel_user=watch&sentinel_password=theirs"
PRIMARY = Node("10.0.0.1", 6379)
NAMED = [b"10.0.0.1", b"6379"]

Say = Callable[[], Any]


class Town:
    """Servers that answer as they are told, and note who was asked with which password."""

    def __init__(self, **answers: Say) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    def ask(self, setup: Setup, options: Mapping[str, Any], words: Sequence[Any]) -> Any:
        """Answer one question."""
        del setup, words
        self.asked.append((options["host"], options["password"]))
        return self.answers[options["host"].replace(".", "_")]()


def fails(error: Exception) -> Say:
    """An answer that is none."""

    def say() -> Any:
        raise error

    return say


def sentinels(town: Town) -> Sentinels:
    """Two sentinels of that town."""
    setup = opening(URL, (), SystemClock()).setup()
    return Sentinels(setup, [Node("s1", 1), Node("s2", 2)], "jobs", town.ask)


def is_primary() -> list[bytes]:
    """What a primary says of itself."""
    return [b"master"]


def test_the_first_that_answers_is_believed_and_asked_first_from_then_on() -> None:
    """A dead sentinel costs its time once; each server gets the password that is its own."""
    town = Town(s1=fails(NotSent("away")), s2=lambda: NAMED)
    town.answers["10.0.0.1".replace(".", "_")] = is_primary
    found = sentinels(town)

    found.locate()
    assert found.node() == PRIMARY
    assert town.asked == [("s1", "theirs"), ("s2", "theirs"), ("10.0.0.1", "mine")]

    found.locate()
    assert town.asked[3:] == [("s2", "theirs"), ("10.0.0.1", "mine")]


def test_a_server_has_to_say_itself_that_it_is_the_primary() -> None:
    """A sentinel may be behind; one who may not be asked is taken at the sentinels' word."""
    answers: dict[str, Say] = {"s1": lambda: NAMED, "s2": lambda: NAMED}
    behind = sentinels(Town(**answers, **{"10_0_0_1": lambda: [b"slave"]}))
    with pytest.raises(NotSent, match="no primary yet"):
        behind.locate()

    silent = sentinels(Town(**answers, **{"10_0_0_1": fails(Refused("NOPERM no role"))}))
    silent.locate()
    assert silent.node() == PRIMARY


def test_a_name_that_nobody_knows_is_a_refusal() -> None:
    """Trying again would not help; where one sentinel is away, it may."""
    with pytest.raises(Refused, match="'jobs'"):
        sentinels(Town(s1=lambda: None, s2=lambda: None)).locate()
    with pytest.raises(NotSent, match="away"):
        sentinels(Town(s1=lambda: None, s2=fails(NotSent("away")))).locate()


@pytest.mark.parametrize(
    ("error", "asks_again"),
    [
        (NotSent("refused"), True),
        (SocketLost("reset"), True),
        (Refused("READONLY You can't write against a read only replica."), True),
        (Refused("UNBLOCKED force unblock from blocking operation"), True),
        (Refused("NOSCRIPT no"), False),
    ],
)
def test_they_are_asked_again_when_the_primary_may_have_changed(
    error: NotSent | SocketLost | Refused, *, asks_again: bool
) -> None:
    """Each lost socket may be a failover; what was said of another server is old news."""
    found = sentinels(Town(s1=lambda: NAMED, **{"10_0_0_1": is_primary}))
    found.locate()

    found.doubt(Node("10.0.0.2", 6379), error)
    assert found.node() == PRIMARY
    found.doubt(PRIMARY, error)
    assert (found.node() is None) is asks_again
