from __future__ import annotations

from pathlib import Path

from qcore_conformance.processes import ScriptProcess
from tests.integration.pubsub.audience import Audience, collect
from tests.integration.stage import Stage

HERE = Path(__file__).parent


def test_a_job_in_the_hands_of_a_killed_listener_is_gone(stage: Stage) -> None:
    """It is not delivered again, neither to others nor to the listener's successor."""
    audience = Audience.of(stage)

    def listener() -> ScriptProcess:
        script = HERE / "listener.py"
        return ScriptProcess(script, stage.url(), arguments=[stage.place.colour])

    with listener() as first:
        first.wait_for("listening")
        assert audience.mouth.enqueue(b"one").receivers == 2
        first.wait_for("holding one")
        first.kill()
        audience.wait_listeners(1)
    with listener() as second:
        second.wait_for("listening")
        assert audience.mouth.enqueue(b"two").receivers == 2
        second.wait_for("holding two")

    assert collect(audience.ear, 2) == [b"one", b"two"]
    assert audience.ear.reserve(0.05) is None
    assert audience.gaps == 0


def test_parent_and_child_listen_each_for_themselves(stage: Stage) -> None:
    """A fork shares no socket: both hear everything that is sent from then on, once."""
    audience = Audience.of(stage)

    with ScriptProcess(HERE / "forker.py", stage.url()) as family:
        family.wait_for("parent listening")
        family.wait_for("child listening")
        assert audience.mouth.enqueue_many([b"a", b"b"])[0].receivers == 3
        for who in ("parent", "child"):
            for body in ("a", "b"):
                family.wait_for(f"{who} heard {body} gaps 0")
        audience.mouth.enqueue(b"end")
        family.expect(0)

    assert sum("heard" in line for line in family.lines) == 4
    assert collect(audience.ear, 3) == [b"a", b"b", b"end"]
