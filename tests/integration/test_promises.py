"""What is promised follows from what the server is, does and allows."""

from __future__ import annotations

import time

import pytest

import qcore
from qcore import Rejected, UnsupportedCapability
from qcore_conformance.waiting import scaled
from tests.integration.actors import Line
from tests.integration.stage import Stage, held

UNIQUE = ("idempotent_id", "dedup", "replay")


def configure(stage: Stage, **settings: str) -> None:
    """Change settings of the running server."""
    for name, value in settings.items():
        stage.server.cli("CONFIG", "SET", name.replace("_", "-"), value)


def waited(line: Line, timeout: float) -> float:
    """How long a reserve takes that finds nothing."""
    began = time.monotonic()
    assert line.reserve(timeout=timeout) is None
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("settings", "durability"),
    [
        ({"appendonly": "no"}, "none"),
        ({"appendonly": "yes", "appendfsync": "everysec"}, "process"),
        ({"appendonly": "yes", "appendfsync": "no"}, "process"),
        ({"appendonly": "yes", "appendfsync": "always"}, "power"),
        ({"appendonly": "yes", "appendfsync": "always", "maxmemory_policy": "allkeys-lru"}, "none"),
    ],
    ids=["no file", "every second", "when it likes", "always", "evicting"],
)
def test_durability_follows_from_the_settings(
    own_stage: Stage, settings: dict[str, str], durability: str
) -> None:
    """Q-CAP-05, Q-REC-17: what the server keeps is promised, and why it is not more is said."""
    configure(own_stage, **settings)
    capabilities = own_stage.connect().capabilities
    assert capabilities.value("durability") == durability
    assert (capabilities.claims["durability"].why == "") == (durability == "power")


def test_a_server_that_evicts_what_expires_promises_no_dedup(own_stage: Stage) -> None:
    """Q-REC-17: ids, keys and kept answers could vanish before their time."""
    configure(own_stage, maxmemory_policy="volatile-ttl")
    client = own_stage.connect()
    assert not any(name in client.capabilities for name in UNIQUE)
    with pytest.raises(UnsupportedCapability, match=r"idempotent_id.*volatile-ttl.*noeviction"):
        client.queue().enqueue(b"", id="x")
    with pytest.raises(UnsupportedCapability, match="dedup"):
        client.queue().enqueue(b"", dedup="x")
    client.queue().enqueue(b"plain")
    assert held(client.queue().reserve(timeout=0)).job.body == b"plain"


def test_what_is_required_and_missing_is_listed_at_open(own_stage: Stage) -> None:
    """Q-CAP-03: all of it at once, with the reasons; what is there opens."""
    configure(own_stage, maxmemory_policy="volatile-lru")
    with pytest.raises(UnsupportedCapability) as caught:
        own_stage.connect(require=["durability:process", "dedup", "fenced", "replay"])
    for word in ("'dedup'", "'durability:process'", "'replay'", "append-only", "noeviction"):
        assert word in str(caught.value)
    assert "fenced" not in str(caught.value)
    configure(own_stage, maxmemory_policy="noeviction", appendonly="yes")
    own_stage.connect(require=["durability:process", "dedup", "fenced", "replay"])


def test_what_is_never_offered_is_refused_without_a_server(own_stage: Stage) -> None:
    """Q-CAP-03: no connection is opened for it."""
    url = own_stage.url()
    own_stage.server.stop()
    with pytest.raises(UnsupportedCapability, match="receivers"):
        own_stage.connect(url, require=["receivers"])
    own_stage.server.start()


@pytest.mark.parametrize(
    "rights",
    [
        ["-info", "-config", "-command"],
        ["-@dangerous"],
        ["-@all", "+@read", "+@write", "+@scripting", "+@connection", "+@blocking", "+time"],
    ],
    ids=["no questions", "nothing dangerous", "only what is needed"],
)
def test_a_user_of_few_rights_works_with_fewer_promises(
    own_stage: Stage, rights: list[str]
) -> None:
    """Q-CAP-05: what cannot be asked is not promised; the rest works, waiting included."""
    own_stage.server.cli("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all", *rights)
    url = own_stage.url().replace("+unix://", "+unix://worker:secret@")
    client = own_stage.connect(url)
    line = client.queue()
    assert client.capabilities.value("durability") == "none"
    assert "unknown" in client.capabilities.claims["durability"].why
    line.enqueue(b"now", id="x")
    line.enqueue(b"later", delay=0.2, priority=2)
    assert held(line.reserve(timeout=0)).job.body == b"now"
    hand = held(line.reserve(timeout=5))
    assert hand.job.body == b"later"
    hand.retry()
    held(line.reserve(timeout=0)).ack()
    waits = [waited(line, 0.2) for _ in range(3)]
    assert 0.19 <= min(waits) <= 0.2 + scaled(0.2)
    assert line.stats().acked == 1
    assert client.queues() == ["work"]


def test_a_user_without_scripts_is_told_so(own_stage: Stage) -> None:
    """Q-CAP-02: what needs them is refused before it is sent; a plain job is stored."""
    own_stage.server.cli("ACL", "SETUSER", "worker", "on", ">secret", "~*", "+@all", "-@scripting")
    url = own_stage.url().replace("+unix://", "+unix://worker:secret@")
    line = own_stage.connect(url).queue()
    with pytest.raises(UnsupportedCapability, match="scripts"):
        line.enqueue(b"", delay=1.0)
    with pytest.raises(UnsupportedCapability, match="scripts"):
        line.reserve(timeout=0)
    assert own_stage.stored() == {}
    line.enqueue(b"plain")
    assert held(own_stage.connect().queue().reserve(timeout=0)).job.body == b"plain"


def test_a_user_who_may_write_nothing_is_told_so(own_stage: Stage) -> None:
    """Q-ERR-01: refused for good, with the server's own words; nothing is stored."""
    rights = ["+@all", "-@scripting", "-@write"]
    own_stage.server.cli("ACL", "SETUSER", "worker", "on", ">secret", "~*", *rights)
    url = own_stage.url().replace("+unix://", "+unix://worker:secret@")
    with pytest.raises(Rejected, match=r"(?i)permission"):
        own_stage.connect(url).queue().enqueue(b"")
    assert own_stage.stored() == {}


def test_a_user_who_may_not_do_all_that_scripts_do_is_told_so(own_stage: Stage) -> None:
    """Q-ERR-01: a right that is missing inside a script is a refusal, not a corruption."""
    own_stage.server.cli("ACL", "SETUSER", "worker", "on", ">secret", "~*", "+@all", "-time")
    url = own_stage.url().replace("+unix://", "+unix://worker:secret@")
    with pytest.raises(Rejected, match=r"'time'|can't run"):
        own_stage.connect(url).queue().enqueue(b"")
    assert own_stage.stored() == {}


def test_a_user_of_other_keys_is_told_so(own_stage: Stage) -> None:
    """Q-ERR-01: keys that the user may not touch are a refusal, not a corruption."""
    own_stage.server.cli("ACL", "SETUSER", "worker", "on", ">secret", "~other:*", "+@all")
    url = own_stage.url().replace("+unix://", "+unix://worker:secret@")
    line = own_stage.connect(url).queue()
    with pytest.raises(Rejected, match=r"(?i)permission"):
        line.enqueue(b"")
    with pytest.raises(Rejected, match=r"(?i)permission"):
        line.reserve(timeout=0)


def test_promises_are_known_before_anything_is_asked(stage: Stage) -> None:
    """Q-CAP-01: the server can only lower them."""
    adapter = qcore.connect("memory://").adapter if stage.place.adapter == "memory" else None
    found = stage.client.capabilities
    best = set(adapter.promises()) if adapter else set(found) | set(UNIQUE)
    assert set(found) <= best
    assert found.adapter == stage.place.adapter
