"""What a harness can do to a server that the suite started itself, beside stopping and killing it.

Every method gets such a server, so that none can meet one that somebody else runs. What a broker
does not have, or a harness does not offer, raises ``NotRun``; a subclass offers what it can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import attrs

from .outcomes import NotRun
from .servers import Server

__all__ = ["Faults", "Weakness"]


@attrs.frozen
class Weakness:
    """A way in which a server may be set up to keep less than it could.

    Attributes:
        settings: What sets it up so.
        lowers: What an adapter cannot promise there, as one would require it.
    """

    settings: Mapping[str, str]
    lowers: str


class Faults:
    """Faults that need to know the broker.

    Attributes:
        weaknesses: By name, the ways of setting up a server that keeps less; ``forgetful`` is
            the one that loses all when it ends.
        power: The settings of a server that keeps all over a loss of power; ``None`` if it has
            none.
    """

    weaknesses: Mapping[str, Weakness] = {}
    power: Mapping[str, str] | None = None

    def forget_scripts(self, server: Server) -> None:
        """Make it forget the programs that clients taught it."""
        del server
        raise NotRun("the harness cannot make a server forget its scripts")

    def disconnect(self, server: Server) -> None:
        """End the connections of all clients."""
        del server
        raise NotRun("the harness cannot end the connections of a server")

    def delete(self, server: Server, namespace: str, queue: str) -> None:
        """Remove all that is stored of a queue."""
        del server, namespace, queue
        raise NotRun("the harness cannot remove a queue")

    def full(self, server: Server) -> AbstractContextManager[None]:
        """Let its memory be full, while it drops nothing by itself."""
        del server
        raise NotRun("the harness cannot fill the memory of a server")

    def failing_disk(self, server: Server) -> AbstractContextManager[None]:
        """Let it refuse writes because it could not save."""
        del server
        raise NotRun("the harness cannot make the disk of a server fail")

    def demoted(self, server: Server) -> AbstractContextManager[None]:
        """Let it take no writes for a while, as one that another has taken over from."""
        del server
        raise NotRun("the harness cannot demote a server")

    def loading(self, server: Server) -> AbstractContextManager[None]:
        """Kill it, and let it start so slowly that clients meet it while it still loads."""
        del server
        raise NotRun("the harness cannot make a server start slowly")

    def parts(self, server: Server, namespace: str, queue: str) -> Sequence[str]:
        """What is stored of a queue, by name."""
        del server, namespace, queue
        raise NotRun("the harness cannot tell what a queue is made of")

    def lasting(self, server: Server, namespace: str, queue: str) -> Sequence[str]:
        """Those parts of a queue that do not vanish by themselves after a while."""
        del server, namespace, queue
        raise NotRun("the harness cannot tell what a queue is made of")

    def spoil(self, server: Server, part: str) -> Callable[[], object]:
        """Put something of another kind in the place of a part; returns what puts it back."""
        del server, part
        raise NotRun("the harness cannot damage a queue")

    def remove(self, server: Server, part: str) -> None:
        """Take a part away for good."""
        del server, part
        raise NotRun("the harness cannot damage a queue")
