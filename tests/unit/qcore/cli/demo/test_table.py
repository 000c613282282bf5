from __future__ import annotations

import pytest

from qcore.capabilities import Capabilities, Claim
from qcore.cli.demo.command import result_row, sentence
from qcore.cli.demo.designs import Design, compared, lesson
from qcore.cli.demo.ledger import Outcome
from qcore.cli.demo.race import Result

LOSSLESS = Outcome(100, 100, 5, 0, 0, 900, 900, 2.0)
LOSSY = Outcome(100, 95, 0, 0, 5, 900, 850, None)


def capabilities(adapter: str, delivery: str) -> Capabilities:
    """What some adapter promises."""
    return Capabilities(adapter, {"delivery": Claim(delivery)})


RELIABLE = capabilities("acme", "at_least_once")
FORGETFUL = capabilities("acme", "at_most_once")


@pytest.mark.parametrize(
    ("found", "outcome", "verdict"),
    [
        (RELIABLE, LOSSLESS, {"promised": True, "kept": True}),
        (RELIABLE, LOSSY, {"promised": True, "kept": False}),
        (FORGETFUL, LOSSY, {"promised": False, "kept": True}),
        (FORGETFUL, LOSSLESS, {"promised": False, "kept": True}),
    ],
)
def test_only_a_promise_can_be_broken(
    found: Capabilities, outcome: Outcome, verdict: dict[str, bool]
) -> None:
    """What never promised to keep a job may lose it."""
    row = result_row(Result(Design("acme", "acme://"), found, outcome))
    assert {key: row[key] for key in verdict} == verdict
    assert row["lost"] == outcome.lost


def test_the_naive_queue_promises_nothing_on_any_broker() -> None:
    """It uses the broker without what would keep its jobs."""
    row = result_row(Result(Design("naive", "acme://", naive=True), RELIABLE, LOSSY))
    assert row["kept"]
    assert "BRPOP" in sentence(row)


def test_a_broken_promise_is_said_loudly() -> None:
    """With the words that are missing."""
    said = sentence(result_row(Result(Design("acme", "acme://"), RELIABLE, LOSSY)))
    assert "BROKE ITS PROMISE" in said
    assert "850 words instead of 900" in said


def test_each_design_has_a_sentence_of_its_own() -> None:
    """The table says what happened, the sentence why."""
    designs = compared("/data")
    assert [design.name for design in designs] == [
        "LPUSH / BRPOP",
        "redis+list",
        "redis+streams",
        "redis+pubsub",
    ]
    known = {lesson(one, capabilities(one.name, "at_least_once")) for one in designs}
    assert len(known) == 4


def test_an_adapter_that_nobody_knows_gets_a_sentence_by_its_promise() -> None:
    """Any adapter can be tried."""
    design = Design("acme", "acme://")
    assert "until it is acked" in lesson(design, RELIABLE)
    assert "gone" in lesson(design, FORGETFUL)
