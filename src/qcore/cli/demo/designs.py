"""The designs that the demo compares, and the sentence that says why each ends as it does."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from qcore.capabilities import Capabilities

__all__ = ["Design", "compared", "lesson"]

_NAIVE = "BRPOP takes the only copy off the server, so what the dead consumer had popped is nowhere"

_LESSONS: Mapping[str, str] = MappingProxyType(
    {
        "redis+list": (
            "a job in hand stays on the server under a lease; the dead one's leases ran out by "
            "the server's clock, and the others took its jobs"
        ),
        "redis+streams": (
            "the consumer group keeps what it delivered as pending; the dead one's leases ran "
            "out, and the others took its jobs"
        ),
        "redis+pubsub": (
            "nothing is stored: what was sent to the dead consumer was in its memory or on the "
            "way there, and nobody can send it again"
        ),
    }
)

_GENERIC: Mapping[str, str] = MappingProxyType(
    {
        "at_least_once": "a job in hand is kept until it is acked, and given to others instead",
        "at_most_once": "taking a job ends it, so what the dead consumer had taken is gone",
    }
)


@attrs.frozen
class Design:
    """One row of the table.

    Attributes:
        name: Its title.
        url: The broker.
        naive: Whether the broker is used for the naive queue rather than as qcore does.
    """

    name: str
    url: str
    naive: bool = False

    def promised(self, capabilities: Capabilities) -> bool:
        """Whether no job may be lost."""
        return not self.naive and "delivery:at_least_once" in capabilities


def compared(directory: str) -> list[Design]:
    """The four designs, on one private server that keeps its data in ``directory``."""
    place = f"+embedded://{directory}"
    return [
        Design("LPUSH / BRPOP", f"redis+list{place}", naive=True),
        *(Design(name, name + place) for name in _LESSONS),
    ]


def lesson(design: Design, capabilities: Capabilities) -> str:
    """Why the design ends as it does, when a consumer that holds jobs is killed."""
    if design.naive:
        return _NAIVE
    known = _LESSONS.get(capabilities.adapter)
    return known or _GENERIC[str(capabilities.value("delivery"))]
