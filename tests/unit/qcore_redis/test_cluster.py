"""Which node has which slot, and what a node's refusal says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from redis.crc import key_slot

from qcore.backend import Setup
from qcore.clock import SystemClock
from qcore.consume.opening import opening
from qcore_redis.faults import NotSent, Refused, SocketLost
from qcore_redis.nodes import Node, Redirect
from qcore_redis.ports.cluster import Cluster, redirect_in, slot_map

ASKED = Node("10.0.0.1", 7000)
ROWS = [
    [8192, 16383, [b"10.0.0.2", 7001, b"id"], [b"10.0.0.9", 7009, b"replica"]],
    [0, 4095, [b"", 7000, b"id"]],
]
KEY = "qc:{default/a}:list:meta"


def cluster() -> Cluster:
    """A locator that was told of one node with every slot."""
    url = "redis+list+cluster://10.0.0.1:7000"

    def ask(setup: Setup, options: Mapping[str, Any], words: Sequence[Any]) -> Any:
        del setup, options, words
        return [[0, 16383, [b"", 7000, b"id"]]]

    found = Cluster(opening(url, (), SystemClock()).setup(), [ASKED], ask)
    found.locate()
    return found


def test_a_slot_is_found_in_its_range() -> None:
    """Ranges come in any order, replicas count for nothing, and holes are holes."""
    slots = slot_map(ROWS, ASKED)

    assert slots.node(0) == slots.node(4095) == ASKED
    assert slots.node(8192) == slots.node(16383) == Node("10.0.0.2", 7001)
    assert slots.node(4096) is slots.node(8191) is None
    assert slots.nodes() == [ASKED, Node("10.0.0.2", 7001)]


def test_a_slot_that_moved_is_elsewhere() -> None:
    """One answer is enough to know better, for this slot alone."""
    elsewhere = Node("10.0.0.3", 7002)
    slots = slot_map(ROWS, ASKED).after_move(7, elsewhere)

    assert slots.node(7) == elsewhere
    assert slots.node(8) == ASKED
    assert elsewhere in slots.nodes()


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("MOVED 7 10.0.0.3:7002", (7, Redirect(Node("10.0.0.3", 7002)))),
        ("ASK 7 10.0.0.3:7002", (7, Redirect(Node("10.0.0.3", 7002), asking=True))),
        ("MOVED 7 :7002", (7, Redirect(Node("10.0.0.1", 7002)))),
        ("MOVED 7 ::1:7002", (7, Redirect(Node("::1", 7002)))),
        ("MOVED about", None),
        ("READONLY You can't write against a read only replica.", None),
    ],
)
def test_a_refusal_says_where_to_go(answer: str, found: tuple[int, Redirect] | None) -> None:
    """A host that is left out is that of whoever answered."""
    assert redirect_in(answer, ASKED) == found


def test_a_move_is_remembered_and_a_migration_is_not() -> None:
    """Who only sends on what it lacks still has the slot."""
    nodes = cluster()
    slot = key_slot(KEY.encode())

    assert nodes.redirected(ASKED, Refused(f"ASK {slot} 10.0.0.3:7002")) is not None
    assert nodes.node(KEY) == ASKED
    assert nodes.redirected(ASKED, Refused(f"MOVED {slot} 10.0.0.3:7002")) is not None
    assert nodes.node(KEY) == Node("10.0.0.3", 7002)


@pytest.mark.parametrize(
    ("error", "asks_again"),
    [
        (NotSent("refused"), True),
        (SocketLost("reset"), True),
        (Refused("CLUSTERDOWN The cluster is down"), True),
        (Refused("READONLY no"), True),
        (Refused("NOSCRIPT no"), False),
    ],
)
def test_what_went_wrong_decides_whether_to_ask_again(
    error: Exception, *, asks_again: bool
) -> None:
    """Each lost node may have been replaced; an ordinary refusal says nothing about nodes."""
    nodes = cluster()
    assert isinstance(error, NotSent | SocketLost | Refused)

    nodes.doubt(ASKED, error)

    assert (nodes.node(KEY) is None) is asks_again
