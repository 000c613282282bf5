"""Workers that take one step, in which they are killed."""

from __future__ import annotations

from qcore_conformance.steps import step_named
from qcore_conformance.workers import Part

from .holding import taken_together

__all__ = ["step"]


def step(part: Part, name: str, queue_name: str, lease: float) -> None:
    """Get everything into the hands, wait for the go, and take the step."""
    taking, queue = step_named(name), part.queue(queue_name)
    hands = taken_together(queue, taking.held, lease) if taking.held else []
    part.await_go()
    taking.act(queue, hands, lease)
    part.linger()
