from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from qcore.capabilities import Capabilities
from qcore.clock import ManualClock
from qcore.consume.opening import Opening, opening
from qcore.errors import AdapterNotFound, InvalidInput, InvalidUrl, UnsupportedCapability


def opened(url: str = "memory://x", require: Iterable[str] = ()) -> Opening:
    """What a URL asks for."""
    return opening(url, require, ManualClock())


def test_defaults_stand_where_a_url_says_nothing() -> None:
    """A lease of 30 s and a patience of 10 s."""
    plan = opened()
    assert (plan.default_lease, plan.patience) == (30.0, 10.0)
    assert plan.params["namespace"] == "default"


def test_a_url_says_how_to_open() -> None:
    """Each setup has a nonce of its own."""
    plan = opened("memory://x?namespace=shop&lease=5s&patience=200ms")
    first, second = plan.setup(), plan.setup()
    assert (plan.default_lease, plan.patience) == (5.0, 0.2)
    assert first.params["namespace"] == "shop"
    assert first.owner != second.owner
    assert first.url is second.url is plan.url


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("memory", InvalidUrl),
        ("nobody://x", AdapterNotFound),
        ("memory://x?leese=5s", InvalidUrl),
        ("memory://x?lease=soon", InvalidUrl),
        ("memory://x?namespace=a:b", InvalidInput),
        ("memory://x?lease=1ms", InvalidInput),
        ("memory://x?lease=1000h", InvalidInput),
        ("memory://x?crash_limit=0", InvalidUrl),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str, error: type[Exception]) -> None:
    """Before any I/O."""
    with pytest.raises(error):
        opened(url)


def test_what_is_required_must_be_offered_all_of_it() -> None:
    """The message lists everything that is missing, with reasons."""
    opened(require=["fenced", "delivery:at_least_once", "durability:none"])
    with pytest.raises(UnsupportedCapability) as failure:
        opened(require=["fenced", "durability:power", "receivers"])
    said = str(failure.value)
    assert "durability:power" in said
    assert "receivers" in said
    assert "fenced" not in said
    assert "a queue that stores does not know who listens" in said


def test_a_requirement_is_a_list_of_capabilities() -> None:
    """A misspelt one is no promise kept."""
    wrong: list[Any] = [["fanced"], [""], [":x"], [None], [1], "fenced", b"fenced", 1, None]
    for require in wrong:
        with pytest.raises(InvalidInput):
            opened(require=require)


def test_a_misspelt_requirement_has_a_suggestion() -> None:
    """And a list of what is known."""
    with pytest.raises(InvalidInput, match=r"'fencd' is no capability; did you mean 'fenced'\?"):
        opened(require=["fencd"])
    with pytest.raises(InvalidInput, match=r"'xyzzy' is no capability\. Known: delivery"):
        opened(require=["xyzzy"])


def test_what_the_server_lowered_is_compared_again() -> None:
    """What could not be kept later is refused at open."""
    plan = opened(require=["fenced"])
    best = plan.adapter.promises()
    plan.check(best)
    plan.check(best.lowered("purge", value=False, why="no rights"))
    with pytest.raises(UnsupportedCapability, match=r"fenced.*old server"):
        plan.check(best.lowered("fenced", value=False, why="old server"))
    with pytest.raises(UnsupportedCapability, match="fenced"):
        plan.check(Capabilities("memory", {}))
