"""Where nodes are: what a URL of a topology must say."""

from __future__ import annotations

import pytest

from qcore.clock import SystemClock
from qcore.consume.opening import opening
from qcore.errors import InvalidUrl
from qcore_redis.locators import locator_for
from qcore_redis.nodes import Locator, Node


def locator_of(url: str) -> Locator:
    """What knows the nodes of a URL."""
    return locator_for(opening(url, (), SystemClock()).setup())


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("rediss+list+unix:///run/redis.sock", "TLS"),
        ("rediss+streams+embedded:///var/lib/jobs", "TLS"),
        ("redis+list+unix://", "absolute path"),
        ("redis+list+unix://host/run/redis.sock", "absolute path"),
        ("redis+list://one,two", "sentinel"),
        ("redis+list+sentinel://one,two", "name of a primary"),
        ("redis+list+sentinel://one/a/b", "name of a primary"),
        ("redis+list+sentinel:///jobs", "hosts of sentinels"),
        ("redis+list+cluster://", "hosts of the cluster"),
        ("redis+list+cluster://one/3", "no other databases"),
        ("redis+list+cluster://one?db=3", "no other databases"),
        ("redis+list://one?sentinel_password=hush", "sentinel_password"),
    ],
)
def test_a_topology_takes_what_it_needs_and_nothing_else(url: str, word: str) -> None:
    """What cannot be kept is refused before any I/O, with the form that is meant."""
    with pytest.raises(InvalidUrl, match=word) as caught:
        locator_of(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "node"),
    [
        ("redis+list://", Node("localhost", 6379)),
        ("redis+list://example.org:7000", Node("example.org", 7000)),
        ("redis+list+unix:///run/redis.sock", Node(path="/run/redis.sock")),
    ],
)
def test_one_node_has_every_key(url: str, node: Node) -> None:
    """A plain URL names its node, and nobody has to be asked for it."""
    locator = locator_of(url)

    assert locator.node("qc:{default/a}:list:meta") is None
    locator.locate()
    assert locator.node("qc:{default/a}:list:meta") == node
    assert locator.primaries() == [node]
