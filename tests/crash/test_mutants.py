"""Broken adapters are caught, each by the scenario that guards against it, and by no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import attrs
import pytest

from tests.crash import acts, scenarios
from tests.crash.conftest import Servers
from tests.crash.mutants import broken
from tests.crash.operations import TAKES, take
from tests.crash.scene import Scene
from tests.integration.stage import EDGES, Place, places

Scenario = Callable[[Scene, str], None]


def _sweep(scene: Scene, mutant: str) -> None:
    """Kill a worker at each boundary of a take."""

    def prepare(scene: Scene) -> None:
        _warm(scene)
        TAKES[0].prepare(scene)

    operation = attrs.evolve(
        TAKES[0],
        act=partial(broken, mutant=mutant, act=take),
        prepare=prepare,
        states=[{**state, "acked": 1} for state in TAKES[0].states],
    )
    scenarios.sweep(scene.place, scene.server, [operation])


def _zombie(scene: Scene, mutant: str) -> None:
    """Let a zombie settle what others have."""
    _warm(scene)
    scenarios.zombie_settles(
        scene, partial(broken, mutant=mutant, act=acts.settle_each_its_own_way)
    )


def _first(scene: Scene, mutant: str) -> None:
    """Let jobs wait for the first consumer."""
    scenarios.first_consumer_dies(scene, partial(broken, mutant=mutant, act=take))


def _warm(scene: Scene) -> None:
    """Let a sound adapter be the first."""
    scene.watch.enqueue(b"first")
    scene.collect(1)


SCENARIOS: Mapping[str, Scenario] = {"sweep": _sweep, "zombie": _zombie, "first": _first}
GUARDS: Mapping[str, tuple[str, str]] = {
    "pop-then-record": ("redis+list", "sweep"),
    "unfenced": ("redis+streams", "zombie"),
    "group-at-the-end": ("redis+streams", "first"),
}
"""Which adapter each mutant breaks, and which scenario has to notice."""


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("mutant", ["sound-list", "sound-streams", *GUARDS])
def test_each_mutant_is_caught_by_the_scenario_that_guards_against_it(
    mutant: str, scenario: str, servers: Servers
) -> None:
    """A scenario that never fails proves nothing; neither does one that fails for anything."""
    adapter, guard = GUARDS.get(mutant, (f"redis+{mutant.removeprefix('sound-')}", ""))
    place = _place(adapter)
    assert place.binary is not None
    server = servers(place.binary)
    with Scene(place, server) as scene:
        # The scripts of a mutant are new to the server, which changes how often it is asked.
        scene.work(broken, "", mutant, acts.warm_up).heard("warm")
    caught = ""
    try:
        with Scene(place, server) as scene:
            SCENARIOS[scenario](scene, mutant)
    except (AssertionError, TimeoutError) as error:
        caught = str(error) or repr(error)
    assert bool(caught) == (scenario == guard), caught or "nobody noticed"


def _place(adapter: str) -> Place:
    binary = EDGES[-1]
    return next(
        place for place in places([binary]) if (place.adapter, place.colour) == (adapter, "sync")
    )
