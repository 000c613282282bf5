from __future__ import annotations

import pytest

from qcore.capabilities import KNOWN, Capabilities, Claim
from qcore.errors import UnsupportedCapability

CAPABILITIES = Capabilities(
    adapter="acme",
    claims={
        "delivery": Claim("at_least_once"),
        "durability": Claim("process"),
        "settlement": Claim("explicit"),
        "wake": Claim(0.5, native=False),
        "fenced": Claim(value=True),
        "purge": Claim(value=False),
    },
    refusals={"delay": "no clock"},
)


@pytest.mark.parametrize(
    "requirement",
    [
        "fenced",
        "delivery",
        "delivery:at_least_once",
        "delivery:at_most_once",
        "durability:none",
        "durability:process",
        "settlement:explicit",
        "wake:0.5",
    ],
)
def test_what_is_offered_meets_the_same_or_less(requirement: str) -> None:
    """A stronger promise keeps a weaker one."""
    assert requirement in CAPABILITIES
    assert CAPABILITIES.missing([requirement]) == []


@pytest.mark.parametrize(
    "requirement",
    [
        "delay",
        "purge",
        "durability:power",
        "durability:replicated",
        "durability:forever",
        "settlement:automatic",
        "wake:native",
        "fenced:maybe",
        "",
        ":process",
    ],
)
def test_what_is_not_offered_is_missing(requirement: str) -> None:
    """Absent, refused, weaker or unheard of."""
    assert requirement not in CAPABILITIES
    assert CAPABILITIES.missing([requirement, "fenced"]) == [requirement]


def test_the_names_on_offer_are_those_not_refused() -> None:
    """A claim of ``False`` is none."""
    assert set(CAPABILITIES) == {"delivery", "durability", "settlement", "wake", "fenced"}


def test_values_are_read_by_name() -> None:
    """``None`` where nothing is promised."""
    assert CAPABILITIES.value("durability") == "process"
    assert CAPABILITIES.value("delay") is None


def test_needing_what_is_not_there_names_it_and_says_why() -> None:
    """Before any I/O."""
    CAPABILITIES.need("fenced")
    with pytest.raises(UnsupportedCapability, match="acme does not offer 'delay': no clock"):
        CAPABILITIES.need("delay")


def test_a_promise_can_be_made_weaker_with_a_reason() -> None:
    """The original stays as it is."""
    weaker = CAPABILITIES.lowered("durability", "none", "no file")
    assert weaker.value("durability") == "none"
    assert weaker.claims["durability"].why == "no file"
    assert CAPABILITIES.value("durability") == "process"


def test_a_promise_can_be_withdrawn_with_a_reason() -> None:
    """It is refused from then on."""
    weaker = CAPABILITIES.lowered("fenced", value=False, why="old server")
    with pytest.raises(UnsupportedCapability, match="old server"):
        weaker.need("fenced")
    assert weaker.lowered("delay", value=False, why="no scripts").refusals["delay"] == "no scripts"


def test_every_capability_is_explained() -> None:
    """A word that can be required has a meaning."""
    assert all(KNOWN.values())
    assert set(CAPABILITIES.claims) <= set(KNOWN)
