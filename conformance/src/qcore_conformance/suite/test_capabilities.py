"""Capability honesty: what is claimed is there, what is not claimed is refused, clearly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

import qcore
from qcore.capabilities import KNOWN
from qcore_conformance.bed import Bed
from qcore_conformance.claims import read_claims
from qcore_conformance.colours import Colour
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.outcomes import NotApplicable, NotRun
from qcore_conformance.refusals import FORMS, Scene
from qcore_conformance.waiting import scaled


@invariant("Q-CAP-01")
def test_the_claims_file_and_the_running_adapter_agree(bed: Bed) -> None:
    """Nothing is offered that was not claimed, and nothing was claimed that is not offered."""
    if bed.harness.claims is None:
        raise NotRun("the harness has no claims file")
    claims = read_claims(bed.harness.claims)

    found = bed.connection.capabilities

    assert claims.differences(found, reference=bed.harness.reference) == []


@invariant("Q-CAP-01")
def test_nothing_is_offered_beyond_what_the_adapter_promises_at_best(bed: Bed) -> None:
    """A server can lower a promise and never raise it; so ``require`` may refuse early."""
    best, found = bed.connection.adapter.promises(), bed.connection.capabilities

    assert best.missing([*found, *_offered(found)]) == []
    assert set(found) <= set(KNOWN)


@invariant("Q-CAP-03")
def test_all_that_is_offered_can_be_required(bed: Bed) -> None:
    """By name and by value, all at once."""
    offered = bed.connection.capabilities

    connection = bed.connect(require=[*offered, *_offered(offered)])

    assert connection.capabilities == offered


@invariant("Q-CAP-03")
@pytest.mark.parametrize("who", ["adapter", "server"])
def test_requiring_what_is_missing_fails_at_open_and_lists_all_of_it(bed: Bed, who: str) -> None:
    """What the adapter never offers is refused without the server, which may lower more."""
    known = [*KNOWN, "durability:power", "durability:replicated", "scope:network"]
    never = bed.connection.adapter.promises().missing(known)
    lowered = [name for name in bed.capabilities.missing(known) if name not in never]
    missing = never if who == "adapter" else lowered
    if not missing:
        raise NotApplicable(f"nothing is missing because of the {who}")

    with pytest.raises(qcore.UnsupportedCapability) as caught:
        bed.connect(require=[*bed.capabilities, *missing])

    assert [name for name in missing if f"'{name}'" not in str(caught.value)] == []
    assert caught.value.adapter == bed.capabilities.adapter


@invariant("Q-CAP-03")
def test_requiring_what_nobody_knows_is_an_error(bed: Bed) -> None:
    """A misspelt requirement is neither met nor missing."""
    with pytest.raises(qcore.InvalidInput, match="fensed"):
        bed.connect(require=["fensed"])


@invariant("Q-CAP-02")
@pytest.mark.parametrize("capability", sorted(KNOWN))
def test_what_is_not_claimed_is_refused(bed: Bed, capability: str) -> None:
    """Each call says who refuses what, and leaves everything as it was."""
    if bed.claims(capability):
        raise NotApplicable(f"{bed.capabilities.adapter} claims '{capability}'")
    scene = _scene(bed.connection)
    before = _seen(bed, scene.queue)

    for form in FORMS[capability]:
        _refused(bed, capability, partial(form, scene))
    _refused(bed, capability, lambda: bed.connect(require=[capability]))

    assert _seen(bed, scene.queue) == before
    scene.delivery.ack()
    scene.queue.enqueue(b"marker")
    assert _bodies(scene.queue) == [b"marker"]


@invariant("Q-CAP-02")
@in_colour(Colour.SYNC, "the table of calls has no colour")
def test_every_capability_is_in_the_table_of_refusals(bed: Bed) -> None:
    """A new capability cannot be forgotten."""
    del bed
    assert FORMS.keys() == KNOWN.keys()


@invariant("Q-CAP-02")
def test_a_refusal_sends_nothing(bed: Bed) -> None:
    """Seen from between the client and its broker."""
    proxy = bed.proxy(bed.server())
    refused = [name for name in FORMS if not bed.claims(name)]
    scene = _scene(bed.connect(bed.url_at(proxy.address)))
    before = len(proxy.log)

    for capability in refused:
        for form in FORMS[capability]:
            _refused(bed, capability, partial(form, scene))

    assert [exchange.command for exchange in proxy.log[before:]] == []


@invariant("Q-CAP-05")
def test_capabilities_stay_the_same_on_one_connection(bed: Bed) -> None:
    """Work changes no promise, and a second connection gets the same ones."""
    before = bed.connection.capabilities

    _scene(bed.connection).delivery.ack()

    assert bed.connection.capabilities == before
    assert bed.connect().capabilities == before


@invariant("Q-CAP-06")
def test_what_is_emulated_is_shown_as_emulated(bed: Bed) -> None:
    """That it works like a native one is the matter of all the other tests."""
    offered = bed.connection.capabilities
    emulated = [name for name in offered if not offered.claims[name].native]
    if not emulated:
        raise NotApplicable(f"{offered.adapter} emulates nothing")
    if bed.harness.claims is None:
        raise NotRun("the harness has no claims file")

    assert sorted(read_claims(bed.harness.claims).emulated) == sorted(emulated)


def _offered(capabilities: qcore.Capabilities) -> list[str]:
    """Everything that has a value, as a requirement."""
    values = {name: capabilities.value(name) for name in capabilities}
    return [f"{name}:{value}" for name, value in values.items() if isinstance(value, str)]


def _scene(connection: qcore.Connection) -> Scene:
    queue = connection.queue("q")
    queue.subscribe()
    queue.enqueue(b"in hand")
    delivery = queue.reserve(timeout=scaled(5.0))
    assert delivery is not None
    return Scene(connection, queue, delivery)


def _refused(bed: Bed, capability: str, call: Callable[[], object]) -> None:
    with pytest.raises(qcore.UnsupportedCapability) as caught:
        call()
    error = caught.value
    assert (error.adapter, error.capability) == (bed.capabilities.adapter, capability)
    assert error.adapter in str(error)
    assert capability in str(error)


def _seen(bed: Bed, queue: qcore.Queue) -> tuple[object, Sequence[str] | None]:
    stats = queue.stats() if bed.claims("stats") else None
    leftovers = bed.harness.leftovers(bed.namespace)
    return stats, None if leftovers is None else sorted(leftovers)


def _bodies(queue: qcore.Queue) -> list[bytes]:
    found: list[bytes] = []
    while delivery := queue.reserve(timeout=scaled(0.2)):
        delivery.ack()
        found.append(delivery.job.body)
    return found
