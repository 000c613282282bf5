"""One job in memory."""

from __future__ import annotations

import math

import attrs

from qcore.backend import GateLimits
from qcore.states import Event, State, step

__all__ = ["Entry"]


@attrs.define(eq=False)
class Entry:
    """A stored job with its mutable state."""

    id: str
    envelope: bytes
    priority: int
    state: State = State.READY
    number: int = 0
    attempt: int = 1
    crashes: int = 0
    lost: int = 0
    until: float = 0.0
    token: str = ""
    started: bool = False
    note: str = ""
    expires: float = math.inf
    tenant: str = ""
    gate: GateLimits | None = None

    def move(self, event: Event) -> None:
        """Go to the state that follows."""
        self.state = step(self.state, event)
