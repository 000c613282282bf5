"""What a run says of invariants that it has no test of."""

from __future__ import annotations

import qcore
from qcore_conformance.outcomes import Outcome
from qcore_conformance.tally import tallied


def test_what_nobody_tested_was_not_run_unless_the_adapter_does_not_claim_it() -> None:
    """An order by key is nothing that this one promises; a job that goes in and out is."""
    with qcore.connect("memory://kit") as connection:
        tally = tallied([], connection.capabilities, {})

    found = {one.invariant.id: (one.outcome, one.why) for one in tally.findings}
    assert found["Q-ORD-03"] == (Outcome.REFUSES, "the adapter does not claim it")
    assert found["Q-CORE-01"] == (Outcome.NOT_RUN, "no test of this version checks it")
