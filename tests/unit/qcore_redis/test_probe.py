"""What several servers promise together."""

from __future__ import annotations

from qcore.capabilities import Capabilities
from qcore_redis.probe import Facts, judged, weakest
from qcore_redis.promises import LIST


def promised(**words: str) -> Capabilities:
    """What a server with these settings and facts promises."""
    settings = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    info = {name: value for name, value in words.items() if "_" in name}
    changed = {name: value for name, value in words.items() if "_" not in name}
    return judged(LIST, Facts(info, settings | changed, None))


def test_a_promise_holds_on_every_node_or_not_at_all() -> None:
    """The weakest node decides, with its own reason, in whichever order they come."""
    strong, weak = promised(), promised(appendfsync="everysec")
    none = promised(appendonly="no")

    for nodes in ([strong, weak, none], [none, weak, strong], [weak, none, strong]):
        claim = weakest(nodes).claims["durability"]
        assert (claim.value, claim.why) == ("none", none.claims["durability"].why)
    assert weakest([strong, weak]).value("durability") == "process"
    assert weakest([strong, strong]) == strong


def test_what_one_node_lacks_is_refused() -> None:
    """And the refusal says why."""
    settings = {"appendonly": "yes", "maxmemory-policy": "volatile-lru"}
    poor = judged(LIST, Facts({}, settings, None))

    found = weakest([promised(), poor])

    assert "dedup" not in found
    assert "volatile-lru" in found.refusals["dedup"]


def test_queues_of_a_cluster_keep_their_jobs() -> None:
    """Two of them may lie on two nodes, which nothing changes in one step."""
    found = promised(redis_mode="cluster")

    assert "move" not in found
    assert "different nodes" in found.refusals["move"]
    assert "move" in promised(redis_mode="standalone")


def test_primaries_with_replicas_in_a_cluster_promise_no_durability() -> None:
    """A failover throws away what the replica had not heard of."""
    found = promised(redis_mode="cluster", connected_slaves="1")

    assert found.value("durability") == "none"
    assert "failover" in found.claims["durability"].why
    assert promised(redis_mode="cluster", connected_slaves="0").value("durability") == "power"
    assert promised(redis_mode="standalone", connected_slaves="1").value("durability") == "power"
