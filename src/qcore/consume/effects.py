"""What the ack of a delivery does beside ending it, checked and encoded as it is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import attrs

from qcore.backend import Further, Settle, Verb
from qcore.capabilities import Capabilities
from qcore.consume.drafts import Drafter
from qcore.errors import InvalidInput, LimitExceeded
from qcore.options import NewJob, name_of

__all__ = ["Effects"]


@attrs.define
class Effects:
    """The effects of one ack.

    Args:
        codec: How bodies are encoded, unless they say so themselves.
        capabilities: What the adapter promises.
        drafter: Makes what drafts jobs for a queue, in a codec.

    Attributes:
        result: What goes into the record, opaque; empty for nothing.
        further: What is enqueued.
        told: What is said to those who listen.
    """

    _codec: str
    _capabilities: Capabilities
    _drafter: Callable[[str, str], Drafter]
    result: bytes = b""
    further: Sequence[Further] = ()
    told: Sequence[Further] = ()

    def then(self, queue: str, jobs: Sequence[object]) -> None:
        """Enqueue these.

        Raises:
            InvalidInput: If an argument is wrong.
            LimitExceeded: If they are too many for one ack.
            UnsupportedCapability: If a job asks for what the adapter does not offer.
        """
        if any(_are_jobs(one) for one in jobs):
            raise InvalidInput("give then the jobs one by one, not as a list: then(queue, *jobs)")
        self.further = (*self.further, *self._drafts("queue", queue, jobs))

    def tell(self, topic: str, body: object, headers: Mapping[str, str]) -> None:
        """Tell those who listen.

        Raises:
            InvalidInput: If an argument is wrong.
            LimitExceeded: If it is too much for one ack.
        """
        if isinstance(body, NewJob):
            raise InvalidInput("a message has a body and headers, and no other options of a job")
        said = self._drafts("topic", topic, [NewJob(body, headers=headers)])
        self.told = (*self.told, *said)

    def _drafts(self, what: str, name: str, jobs: Sequence[object]) -> list[Further]:
        drafter = self._drafter(name_of(what, name), self._codec)
        drafts = drafter.draft(jobs, self._capabilities)
        most = self._capabilities.limits.batch
        if len(self.further) + len(self.told) + len(drafts) > most:
            raise LimitExceeded(
                f"more than {most} jobs and messages follow one; let jobs follow each other"
            )
        return [Further(name, draft) for draft in drafts]

    def of_ack(self, token: str) -> Settle:
        """The step that has them."""
        return Settle(token, Verb.ACK, result=self.result, further=self.further, told=self.told)


def _are_jobs(body: object) -> bool:
    """Whether somebody passed a list of jobs for one."""
    if not isinstance(body, list | tuple):
        return False
    return any(isinstance(one, NewJob) for one in cast("Sequence[object]", body))
