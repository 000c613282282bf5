"""How much of the suite a run plays."""

from __future__ import annotations

from qcore_conformance.colours import Colour
from qcore_conformance.runs import Run, the_colour_of

NAMES = [f"test_list::test_number_{number}[{{}}-fast]" for number in range(50)]


def test_what_is_said_first_goes_before_the_rest() -> None:
    """An option of the command line goes before the module, the module before the default."""
    asked, own = Run(tier=0), Run(tier=3, scale=0.0)
    assert asked.or_else(own).or_else(Run(tier=1, scale=1.0)) == Run(tier=0, scale=0.0)


def test_a_test_that_alternates_runs_in_exactly_one_colour() -> None:
    """None is left out in both colours, and none is played twice."""
    run = Run(alternate=2)
    for name in NAMES:
        assert [run.plays(2, name.format(colour)) for colour in Colour].count(True) == 1


def test_both_colours_get_their_share() -> None:
    """Else one of them would never meet the faults."""
    chosen = [the_colour_of(name.format(Colour.SYNC)) for name in NAMES]
    assert all(chosen.count(colour) >= 10 for colour in Colour)


def test_lower_tiers_run_in_both_colours() -> None:
    """They are quick, and hold what the two colours differ in."""
    run = Run(alternate=2)
    assert all(run.plays(1, name.format(colour)) for name in NAMES for colour in Colour)


def test_nothing_alternates_unless_asked_to() -> None:
    """A published report has both colours of everything."""
    assert all(Run().plays(4, name.format(colour)) for name in NAMES for colour in Colour)
