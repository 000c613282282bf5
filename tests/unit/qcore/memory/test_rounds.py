from __future__ import annotations

import random
from collections import Counter

import pytest

from qcore.memory.rounds import Rounds


def filled(**counts: int) -> Rounds[str]:
    """So many items of each flow, named after it and numbered."""
    rounds = Rounds[str]()
    for flow, count in counts.items():
        for number in range(count):
            rounds.append(flow, f"{flow}{number}")
    return rounds


def emptied(rounds: Rounds[str]) -> list[str]:
    """All that is in there, in order."""
    return [rounds.popleft() for _ in range(len(rounds))]


def test_a_flow_has_one_item_in_a_round() -> None:
    """However many it has; within a round flows go by name."""
    assert emptied(filled(b=3, a=1, c=2)) == ["a0", "b0", "c0", "b1", "c1", "b2"]


def test_one_that_comes_later_begins_with_the_next_round() -> None:
    """Whether it was there before or not."""
    rounds = filled(b=4, a=1)
    assert [rounds.popleft() for _ in range(3)] == ["a0", "b0", "b1"]
    rounds.append("a", "a1")
    rounds.append("c", "c0")
    assert emptied(rounds) == ["a1", "b2", "c0", "b3"]


def test_looking_is_in_the_order_of_taking() -> None:
    """Whatever was put in, in whatever order."""
    rounds = Rounds[str]()
    for number in range(100):
        rounds.append(random.choice("abcd"), str(number))
    shown = list(rounds)
    assert rounds[0] == shown[0]
    assert emptied(rounds) == shown


def test_only_flows_that_wait_are_remembered() -> None:
    """So that tenants that come and go leave nothing."""
    rounds = filled(always=100)
    for number in range(50):
        rounds.append(f"guest{number}", "guest")
        while rounds.popleft() != "guest":
            pass
        assert rounds.flows <= {"always", f"guest{number}"}
    rounds.clear()
    assert rounds == Rounds[str]()


@pytest.mark.parametrize("backwards", [False, True])
def test_what_was_removed_leaves_no_debt(backwards: bool) -> None:  # noqa: FBT001
    """The flow goes on behind what is left of it, or anew."""
    rounds = filled(a=5, b=3)
    doomed = ["a1", "a2", "a3", "a4"]
    for item in reversed(doomed) if backwards else doomed:
        rounds.remove(next(one for one in rounds if one == item))
    rounds.append("a", "anew")
    assert emptied(rounds) == ["a0", "b0", "anew", "b1", "b2"]
    assert rounds == Rounds[str]()


def test_nobody_is_served_twice_while_another_waits() -> None:
    """Over any coming and going, between two items of a flow that has more."""
    rounds, last = Rounds[str](), dict[str, int]()
    order: list[str] = []
    waiting = Counter[str]()
    for _ in range(2000):
        if random.random() < 0.5:
            flow = random.choice("abcdef")
            if not waiting[flow]:
                last.pop(flow, None)
            rounds.append(flow, flow)
            waiting[flow] += 1
        elif rounds:
            flow = rounds.popleft()
            if flow in last:
                between = Counter(order[last[flow] + 1 :])
                assert max(between.values(), default=0) <= 1
            last[flow] = len(order)
            order.append(flow)
            waiting[flow] -= 1


def test_one_that_waits_in_the_present_round_may_lose_its_later_items() -> None:
    """What is left of it comes in its turn."""
    rounds = filled(a=1, b=2)
    assert rounds.popleft() == "a0"
    rounds.remove(next(one for one in rounds if one == "b1"))
    assert emptied(rounds) == ["b0"]
